"""Allow lists: the functions, types and operators that an expression may use, and the key words of SQL.

A function is on the list when all its overloads give the same answer for the same arguments under fixed
session settings, and neither read tables, catalogs, files or settings, nor change anything.
tests/test_allowed_functions.py holds every list against the catalogs of real servers.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TEXT_FUNCTIONS = _words("""
    ascii bit_length btrim casefold char_length character_length chr concat concat_ws convert convert_from
    convert_to format initcap is_normalized left length lower lpad ltrim md5 normalize octet_length overlay
    parse_ident position quote_ident quote_literal quote_nullable regexp_count regexp_instr regexp_like
    regexp_match regexp_replace regexp_split_to_array regexp_substr repeat replace reverse right rpad rtrim
    split_part starts_with string_to_array strpos substr substring to_ascii to_bin to_hex to_oct translate
    unicode_assigned unistr upper
""")
BYTES_FUNCTIONS = _words("""
    bit_count crc32 crc32c decode encode get_bit get_byte set_bit set_byte sha224 sha256 sha384 sha512
    hash_array hash_array_extended hash_numeric hash_numeric_extended hash_record hash_record_extended
    hashint2 hashint2extended hashint4 hashint4extended hashint8 hashint8extended hashtext hashtextextended
    uuid_hash uuid_hash_extended uuid_extract_timestamp uuid_extract_version
""")
NUMBER_FUNCTIONS = _words("""
    abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling cos cosd cosh cot
    cotd degrees div erf erfc exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod
    num_nonnulls num_nulls pg_size_bytes pg_size_pretty pi pow power radians round scale sign sin sind sinh
    sqrt tan tand tanh trim_scale trunc width_bucket
""")
TIME_FUNCTIONS = _words("""
    age date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days justify_hours
    justify_interval make_date make_interval make_time make_timestamp make_timestamptz overlaps timezone
    to_char to_date to_number to_timestamp
""")
JSON_FUNCTIONS = _words("""
    array_to_json json_array_length json_build_array json_build_object json_extract_path
    json_extract_path_text json_object json_populate_record json_strip_nulls json_typeof jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path
    jsonb_extract_path_text jsonb_insert jsonb_object jsonb_path_exists jsonb_path_exists_tz
    jsonb_path_match jsonb_path_match_tz jsonb_path_query_array jsonb_path_query_array_tz
    jsonb_path_query_first jsonb_path_query_first_tz jsonb_populate_record jsonb_pretty jsonb_set
    jsonb_set_lax jsonb_strip_nulls jsonb_typeof row_to_json to_json to_jsonb xml_is_well_formed
    xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmltext xpath xpath_exists
""")
SET_FUNCTIONS = _words("""
    array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position
    array_positions array_prepend array_remove array_replace array_reverse array_sort array_to_string
    array_upper cardinality trim_array enum_first enum_last enum_range isempty lower_inc lower_inf
    range_merge upper_inc upper_inf int4range int8range numrange daterange tsrange tstzrange multirange
    int4multirange int8multirange nummultirange datemultirange tsmultirange tstzmultirange
""")
NETWORK_AND_SHAPE_FUNCTIONS = _words("""
    abbrev broadcast family host hostmask inet_merge inet_same_family macaddr8_set7bit masklen netmask
    network set_masklen area bound_box box center circle diagonal diameter height isclosed ishorizontal
    isopen isparallel isperp isvertical line lseg npoints path pclose point polygon popen radius slope width
""")
SEARCH_FUNCTIONS = _words("""
    array_to_tsvector json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery plainto_tsquery querytree
    setweight strip to_tsquery to_tsvector ts_delete ts_filter ts_headline ts_rank ts_rank_cd ts_rewrite
    tsquery_phrase tsvector_to_array websearch_to_tsquery
""")
CAST_FUNCTIONS = _words("""
    bit bool bpchar bytea char cidr date float4 float8 int2 int4 int8 interval macaddr macaddr8 money name
    numeric pg_input_is_valid pg_typeof text time timestamp timestamptz timetz varbit varchar xml
""")
FUNCTIONS = TEXT_FUNCTIONS | BYTES_FUNCTIONS | NUMBER_FUNCTIONS | TIME_FUNCTIONS | JSON_FUNCTIONS
FUNCTIONS |= SET_FUNCTIONS | NETWORK_AND_SHAPE_FUNCTIONS | SEARCH_FUNCTIONS | CAST_FUNCTIONS

# Where only some overloads are fit: the numbers of arguments that are, and what the others do.
ARGUMENTS = {
    "age": (2, "age with one argument depends on the current date; give both"),
    "ts_rewrite": (3, "ts_rewrite with two arguments runs a query; give target and substitute"),
    "pg_input_is_valid": (2, "pg_input_is_valid takes a value and the name of a type"),
    **{
        name: (
            2,
            f"{name} with one argument depends on a setting; name the configuration: {name}('simple', …)",
        )
        for name in (
            "to_tsvector",
            "to_tsquery",
            "plainto_tsquery",
            "phraseto_tsquery",
            "websearch_to_tsquery",
        )
    },
}

AGGREGATES = _words("""
    any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every
    json_agg json_agg_strict json_arrayagg json_object_agg json_object_agg_strict json_object_agg_unique
    json_object_agg_unique_strict json_objectagg jsonb_agg jsonb_agg_strict jsonb_object_agg
    jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict max min mode
    percentile_cont percentile_disc range_agg range_intersect_agg regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg
    sum var_pop var_samp variance xmlagg
""")
WINDOW_FUNCTIONS = _words("""
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
""")
SET_RETURNING = _words("""
    aclexplode generate_series generate_subscripts json_array_elements json_array_elements_text json_each
    json_each_text json_object_keys json_populate_recordset json_to_recordset jsonb_array_elements
    jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys jsonb_path_query
    jsonb_path_query_tz jsonb_populate_recordset jsonb_to_recordset regexp_matches regexp_split_to_table
    string_to_table ts_debug ts_parse ts_stat ts_token_type txid_snapshot_xip unnest
""")
VOLATILE = _words("""
    array_sample array_shuffle clock_timestamp current_catalog current_date current_query current_role
    current_schema current_time current_timestamp current_user currval gen_random_uuid lastval localtime
    localtimestamp nextval now random random_normal session_user setseed setval statement_timestamp
    system_user timeofday transaction_timestamp txid_current txid_status user uuidv4 uuidv7
""")
_READS = re.compile(
    r"pg_|lo_|txid_|to_reg|has_\w+_privilege|brin_|gin_|binary_upgrade_|inet_(client|server)_|\w+_to_xml"
)
_READ_NAMES = _words("""
    amvalidate col_description current_database current_schemas current_setting format_type
    get_current_ts_config getdatabaseencoding getpgusername obj_description oid plpgsql_validator regclass
    row_security_active set_config shobj_description version xmlvalidate
""")
UNCLOCKED = "leave the column unmapped to take its default, or use value"


def why_function_refused(name: str) -> str:
    """The sentence for a function that is not on the list."""
    if name in AGGREGATES:
        return f"{name} is an aggregate; an expression sees one row at a time"
    if name in WINDOW_FUNCTIONS:
        return f"{name} is a window function; an expression sees one row at a time"
    if name in SET_RETURNING:
        return f"{name} returns a set of rows; an expression gives one value"
    if name in VOLATILE:
        return f"{name} gives another answer each time, so a retry would differ: {UNCLOCKED}"
    if is_known_bad(name):
        return f"{name} reads or changes the server, not the row; it is not on the list of functions"
    return f"{name} is not on the list of functions"


def is_known_bad(name: str) -> bool:
    """Whether pg_catalog has, or may have, a function of this name that an expression must not reach."""
    unfit = AGGREGATES | WINDOW_FUNCTIONS | SET_RETURNING | VOLATILE | _READ_NAMES
    return name not in FUNCTIONS and (name in unfit or bool(_READS.match(name)))


TYPES = _words("""
    bit bool box bpchar bytea char cidr circle date datemultirange daterange float4 float8 inet int2 int4
    int4multirange int4range int8 int8multirange int8range interval json jsonb jsonpath line lseg macaddr
    macaddr8 money name numeric nummultirange numrange path point polygon regconfig text time timestamp
    timestamptz timetz tsmultirange tsquery tsrange tstzmultirange tstzrange tsvector uuid varbit varchar xml
""")
REFUSED_TYPES = _words("""
    aclitem any anyarray anycompatible anycompatiblearray anycompatiblemultirange anycompatiblenonarray
    anycompatiblerange anyelement anyenum anymultirange anynonarray anyrange cid cstring event_trigger
    fdw_handler gtsvector index_am_handler int2vector internal language_handler oid oidvector record
    refcursor regclass regcollation regdictionary regnamespace regoper regoperator regproc
    regprocedure regrole regtype table_am_handler tid trigger tsm_handler txid_snapshot unknown void xid
    xid8
""")
CLOCK_TYPES = _words("date time timestamp timestamptz timetz")


def is_refused_type(name: str) -> bool:
    """Whether pg_catalog has, or may have, a type of this name that is not on the list."""
    inner = name.removeprefix("_")
    known = inner in REFUSED_TYPES or inner.startswith("pg_")
    return name not in TYPES and (known or (inner != name and inner in TYPES))


OPERATORS = _words("""
    !! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> << <<=
    <<| <= <> <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~*
    ~<=~ ~<~ ~= ~>=~ ~>~ ~~ ~~*
""")

# pg_get_keywords(): reserved; only for functions and types; only for columns.
RESERVED = _words("""
    all analyse analyze and any array as asc asymmetric both case cast check collate column constraint
    create current_catalog current_date current_role current_time current_timestamp current_user default
    deferrable desc distinct do else end except false fetch for foreign from grant group having in initially
    intersect into lateral leading limit localtime localtimestamp not null offset on only or order placing
    primary references returning select session_user some symmetric system_user table then to trailing true
    union unique user using variadic when where window with
""")
NOT_COLUMNS = _words("""
    authorization binary collation concurrently cross current_schema freeze full ilike inner is isnull join
    left like natural notnull outer overlaps right similar tablesample verbose
""")
NOT_FUNCTIONS = _words("""
    between bigint bit boolean char character coalesce dec decimal exists extract float greatest grouping
    inout int integer interval json json_array json_arrayagg json_exists json_objectagg json_query
    json_scalar json_serialize json_table json_value least merge_action national nchar none normalize nullif
    numeric out overlay position precision real row setof smallint substring time timestamp treat trim
    values varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi
    xmlroot xmlserialize xmltable
""")
EXPLAINED = {
    "default": f"DEFAULT is not a value here: {UNCLOCKED}",
    "select": "a subselect is not allowed; use lookup, ref or joins",
    "with": "statements are not allowed, only one expression",
    "table": "statements are not allowed, only one expression",
    "values": "statements are not allowed, only one expression",
    "exists": "a subselect is not allowed; use lookup, ref or joins",
    "distinct": "DISTINCT belongs to aggregates, which are not allowed",
    "variadic": "VARIADIC stands before the last argument of a function only",
}
