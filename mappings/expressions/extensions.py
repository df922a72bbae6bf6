"""What extensions bring that an expression may use. Where each is installed, planning finds out (compiling/bind_names).

Functions are named here, as those of pg_catalog are in allowlist.py: of extensions for values, and immutable, so
`unaccent` (whose rules may change) and whatever depends on a setting are not. Operators are taken from any extension,
if what they call is immutable; here are only the names that pg_catalog has no operator of.
"""

from __future__ import annotations

BY_EXTENSION = {
    "citext": "citext regexp_match regexp_replace regexp_split_to_array replace split_part strpos translate",
    "hstore": """akeys avals defined hstore hstore_to_json hstore_to_json_loose hstore_to_jsonb
        hstore_to_jsonb_loose isdefined isexists slice tconvert""",
    "ltree": "index lca ltree2text nlevel subltree subpath text2ltree",
    "cube": """cube cube_dim cube_enlarge cube_inter cube_is_point cube_ll_coord cube_size cube_subset
        cube_union cube_ur_coord""",
    "seg": "seg_center seg_inter seg_lower seg_size seg_union seg_upper",
    "isn": "is_valid isbn isbn13 ismn ismn13 issn issn13 upc",
    "intarray": "intset sort sort_asc sort_desc subarray uniq",
    "pg_trgm": "show_trgm similarity strict_word_similarity word_similarity",
    "uuid-ossp": """uuid_generate_v3 uuid_generate_v5 uuid_nil uuid_ns_dns uuid_ns_oid uuid_ns_url
        uuid_ns_x500""",
    "fuzzystrmatch": """difference dmetaphone dmetaphone_alt levenshtein levenshtein_less_equal metaphone
        soundex""",
    "pgcrypto": "digest hmac",
    "vector": "cosine_distance inner_product l1_distance l2_distance l2_normalize vector_dims vector_norm",
}

FUNCTIONS = {
    name: tuple(extension for extension, names in BY_EXTENSION.items() if name in names.split())
    for names in BY_EXTENSION.values()
    for name in names.split()
}
"""By name, the extensions that have such a function."""

_OPERATORS = "#= %# ?<@ ?@ ?@> ?~ ^<@ ^? ^@> ^~ ~> <->> <->>> <<-> <<<->"
OPERATORS = frozenset(_OPERATORS.split())
