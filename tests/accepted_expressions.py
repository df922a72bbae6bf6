"""Expressions of every kind that an operator may write, over the table t of test_printed_expressions.py."""

from __future__ import annotations

_LINES = r"""
    a
    "Id" + id
    t."order"
    T.order
    t . "a""b"
    Straße
    name
    year + value
    time
    -a
    - - a
    -5
    +5 - -3
    @ -5
    a-b
    a - -1
    2 ^ 3 ^ 2
    -2 ^ 2
    a + b * 2 - 7 / 2 % 3
    (a + b) * 2
    a = 5 and b = 3 or not c
    not a = 5
    not not c
    a <> 5
    a != 5
    a<-1
    a >=-1
    a*-1
    a is null
    a is not null = c
    a isnull or b notnull
    c is true and c is not false or c is unknown
    a is distinct from b
    a is not distinct from null
    a between 1 and 10 and c
    a between symmetric 10 and 1
    a not between b and b + 10 or c
    a in (1, 2, 5)
    a not in (1, 2)
    (a, b) in ((5, 3), (1, 2))
    (a, b) = (5, 3)
    row(a, b) < row(6, 1)
    row()is null
    s like 'H%'
    s not like 'H\_%' escape '\'
    s ilike '%WORLD'
    s ilike any (array['h%', 'x%'])
    s similar to '(H|J)%'
    s not similar to 'H#%' escape '#'
    s ~ '^H' and s !~* 'z$'
    a = any (arr)
    a <> all (array[1, 2])
    5 = some (arr)
    case when a > 3 then 'big' when a is null then null else 'small' end
    case a when 5 then 'five' end
    case when c then case b when 3 then 1 else 2 end end
    coalesce(s, "order", '')
    nullif(a, 5)
    greatest(a, b, 4) - least(1, b)
    extract(year from d)
    extract('epoch' from ts)
    extract("month" from ts)
    substring(s from 2 for 3)
    substring(s for 3)
    substring(s for 3 from 2)
    substring(s from 'l+')
    substring(s, 2, 3)
    substring(s similar '%#"ll#"%' escape '#')
    trim(s)
    trim(both from s)
    trim(both 'H' from s)
    trim(leading 'H' from s)
    trim(trailing from s)
    trim('H' from s)
    trim(s, 'H')
    trim(from s)
    overlay(s placing 'XX' from 2 for 3)
    overlay(s placing 'XX' from 2)
    overlay(s, 'XX', 2)
    position('l' in s)
    normalize(s)
    normalize(s, nfd)
    s is normalized
    s is nfc normalized
    j is json object
    '{}' is not json
    cast(a as text)
    cast(n as numeric(10, 2))
    cast('2024-01-01' as date)
    a::text || 'x'
    a::bigint::text
    n::numeric(10,2)
    n::numeric(3,-1)
    n::decimal
    s::varchar(5)
    s::character varying(5)
    s::varchar
    s::char(3)
    s::char
    s::"char"
    s::pg_catalog."char"
    s::name
    s::pg_catalog.text
    a::smallint
    a::int2
    a::float(24)
    f::real
    f::double precision
    ts::timestamp(0)
    ts::timestamp with time zone
    tz::timestamp(3) without time zone
    tz::timestamptz(0)
    tz::time with time zone
    i::interval day to minute
    i::interval(0)
    i::interval second(2)
    '{1,2}'::int[]
    '{1,2}'::int array
    '{{1,2}}'::int[][]
    '{a}'::text[3]
    '{a}'::varchar(5)[]
    m::text
    'sad'::mood
    'A'::"My Enum"
    'PG'::other.mpaa
    'PG'::other."mpaa"
    '{sad,ok}'::mood[]
    a::small
    '(x,1)'::place
    bits::bit(2)
    bits::bit varying(3)
    '101'::bit
    jb::jsonb -> 'a' -> 'b'
    jb->>'a'
    jb #>> '{a,b}'
    jb @> '{"k": null}'
    jb ? 'a'
    jb ?| array['a', 'z']
    jb - 'a'
    j->'b'->0
    jb['a']['b']
    jsonb_build_object('x', a, 'y', array[a, b])
    json_build_array(1, 'a', null)
    json_object(array['a','b'], array['1','2'])
    to_jsonb(tags)
    row_to_json(row(a, b))
    jsonb_path_query_first(jb, '$.a.b')
    interval '1 day'
    interval '1' year
    interval '1-2' year to month
    interval '1.234' second(1)
    interval(1) '1.26'
    a * interval '1 minute'
    date '2024-01-01' + 1
    timestamp '2024-01-01 00:00' + i
    timestamp(0) '2024-01-01 00:00:00.7'
    timestamp with time zone '2024-01-01 00:00+01'
    timestamptz '2024-01-01 00:00+01'
    time '10:00'
    time(0) with time zone '10:00:00.5+01'
    double precision '1.5'
    numeric(4,1) '12.34'
    varchar(2) 'abc'
    character varying(2) 'abc'
    national character varying(2) 'abc'
    bpchar(4) 'ab'
    bit varying(2) '101'
    char(2) 'abc'
    float8 '1e3'
    uuid '11111111-2222-3333-4444-555555555555' = u
    json '{"a":1}' ->> 'a'
    jsonb '[1]' || '[2]'
    inet '10.0.0.0/8' >> ip
    bool 't'
    "date" '2024-01-01'
    ts at time zone 'Europe/Berlin'
    ts at time zone 'UTC' at time zone 'Asia/Tokyo'
    ts at time zone 'UTC'::text
    ts at time zone interval '2 hours'
    s collate "C" < 'i'
    s || 'x' collate pg_catalog."C"
    (s collate "C")::text
    s collate "C" :: text
    arr[1]
    t.arr[2:3]
    arr[:2]
    arr[2:]
    arr[:]
    arr[a - 4]
    arr[array_lower(arr, 1):a::int]
    (array[1, 2, 3])[2]
    (arr || 4)[4]
    array[[1,2],[3,4]]
    array[array[1], array[2]]
    array[]::int[]
    (string_to_array(s, ' '))[1]
    (at).street
    (at)."No" + 1
    (t.h).at
    ((t.h).at).street
    (h).at.street || 'x'
    (array[at])[1].street
    (at::place).street
    coalesce((at).street, s)
    upper(s) || lower(s) || initcap(s)
    pg_catalog.upper(s)
    "pg_catalog"."upper"(s)
    "upper"(s)
    UPPER(s)
    left(s, 2) || right(s, 2)
    length(s) + char_length(s) + octet_length(s)
    replace(s, 'l', 'L')
    regexp_replace(s, '(l+)', '<\1>', 'g')
    regexp_replace(s, E'\\s+', E'\t')
    (regexp_match(s, '(H)(.)'))[2]
    split_part(s, ' ', 2)
    concat(a, null, s, c)
    concat_ws('-', a, b)
    format('%s %I %L %1$s', s, straße, s)
    lpad(a::text, 5, '0')
    md5(s) || encode(sha256(by), 'hex')
    to_char(ts, 'YYYY-MM-DD "at" HH24:MI')
    to_date('20240101', 'YYYYMMDD')
    to_timestamp(0)
    to_number('1,234', '9,999')
    make_date(2024, 1, 2)
    make_interval(days => a, mins := -b)
    make_interval(1, "weeks"=>2)
    concat_ws('-', variadic tags)
    jsonb_build_object(variadic array['k', s])
    date_trunc('month', ts)
    date_part('dow', d)
    age(ts, ts - i)
    date(ts)
    int4(n)
    text(a)
    float8(n)
    "numeric"(a)
    round(n, 1) + ceil(n) + floor(n) + abs(n) + sign(n) + trunc(n) + power(2, 3)
    |/ 25.0 + ||/ 27.0
    a & 3 | 8 # 1
    ~ a
    1 << 3 >> 1
    a << 1 = 10
    a + 1 || s
    'a' || 'b' = 'ab'
    'a' < 'b' and 'b' > 'a'
    r @> 3 and not r && int4range(7, 9)
    upper(r) - lower(r)
    daterange('2024-01-01', d) * daterange('2024-02-01', null)
    ip << inet '10.0.0.0/8' or host(ip) = 'x'
    p <-> point '(0,0)'
    to_tsvector('simple'::regconfig, s)
    to_tsvector('english', s) @@ to_tsquery('english', 'hello & world')
    enum_range(null::mood)
    num_nulls(a, b, null)
    pg_input_is_valid(s, 'integer')
    pg_typeof(a)::text
    array_to_string(tags, ',') || array_length(arr, 1)
    width_bucket(5, 0, 10, 5)
    hashtext(s)
    (d, d + 10) overlaps (d + 5, d + 20)
    true and false or null
    null
    null::text
    'it''s'
    ''
    E'it\'s \u00e9 \\ \n'
    e'a''b'
    $$dollar 'quoted' \ $$
    $tag$ $$ inner $$ $tag$
    B'1010' | b'0101'
    X'1F'
    'back\slash'
    1e5 + 1E-2 + .5 + 1. + 1.5e+3
    0x1F + 0o17 + 0b101 + 1_000
    123456789012345678901234567890
    -9223372036854775808
    ((((((((((a))))))))))
    a::text::varchar(3)::char(2) || (b)::text
    s < 'z' collate "C" and a between -1 and +9
    - a :: text :: int
    not a between 1 and 2 and c
    case when a = 5 then 1 else 0 end + 1
    a is null is null
    a = b is null
    c = (a > b)
    c = NOT true
""".strip("\n")
ACCEPTED = [line.strip() for line in _LINES.splitlines()] + ["'one'\n  ' two'", "E'a\\n'\r'b'", "a\n\t+\fb"]
