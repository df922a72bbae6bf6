"""The SQL that an operator may write: its tokens, grammar and allow lists; checked, bound and printed again."""
