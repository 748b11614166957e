"""The README's list of files is the list of files."""

import re


def test_the_file_tree_is_complete(repo):
    """Each module of src/tessera stands in its package's place, and nothing that is not there."""
    text = (repo / "README.md").read_text()
    tree = text.split("## The files")[1].split("```")[1]
    inside = tree.split("src/tessera/\n")[1]
    listed, package = set(), ""
    for line in inside.splitlines():
        found = re.match(r"( +)(\S+)  ", line)
        if found:
            name = found[2]
            package = name if name.endswith("/") else package if len(found[1]) > 4 else ""
            if name.endswith(".py"):
                listed.add(package + name)
    source = repo / "src" / "tessera"
    there = {file.relative_to(source).as_posix() for file in source.rglob("*.py")}
    assert listed == {name for name in there if not name.endswith("__init__.py")}


def test_links_lead_somewhere(repo):
    """Every relative link of the README and the docs."""
    for page in [repo / "README.md", repo / "CONTRIBUTING.md", *(repo / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
