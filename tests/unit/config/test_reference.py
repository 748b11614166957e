"""The page of all settings."""

from tessera.config.reference import settings_page


def test_the_page_is_up_to_date(repo):
    """`make docs` was run after the last change of the schema."""
    assert (repo / "docs" / "settings.md").read_text() == settings_page()


def test_the_page_knows_every_kind_of_setting():
    """A default, a reference, a choice, an untracked field, a nested class."""
    page = settings_page()
    assert "| `clusters` |  | centroids, K; tokens are uint16 |" in page
    assert "| `tokens` |  | → `tokens` |" in page
    assert "one of `pre`, `post`" in page
    assert "changes nothing else; *untracked* |" in page
    assert "### Training\n" in page
