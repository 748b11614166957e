"""Checks against vectors that the original DiGIT code computed."""
