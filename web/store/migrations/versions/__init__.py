"""The revisions, numbered from 0001 on; what is released here never changes again."""
