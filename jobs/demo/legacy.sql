-- The demo's source: the old CRM. Generated and deterministic: every choice is a hash of the row's number.
-- The awkward parts are meant: codes for words, 0 for "nobody", dates as numbers and as text, money in cents,
-- reserved words as column names, names longer than the new system allows, and no declared foreign keys.
SET client_min_messages = warning;
CREATE SCHEMA legacy;

CREATE FUNCTION pg_temp.pick(n integer, salt integer, choices integer) RETURNS integer LANGUAGE sql IMMUTABLE
  RETURN (hashint4extended(n, salt) & 2147483647)::integer % choices;
CREATE FUNCTION pg_temp.yyyymmdd(day date) RETURNS integer LANGUAGE sql IMMUTABLE
  RETURN (extract(year FROM day) * 10000 + extract(month FROM day) * 100 + extract(day FROM day))::integer;
-- The same number as people write it: +49 30 1234567, 0049.30.1234567, (030) 123-4567, 030/123 45 67, 0301234567.
CREATE FUNCTION pg_temp.phone(area text, number text, style integer) RETURNS text LANGUAGE sql IMMUTABLE
  RETURN CASE style
    WHEN 0 THEN '+49 ' || area || ' ' || number
    WHEN 1 THEN '0049.' || area || '.' || number
    WHEN 2 THEN '(0' || area || ') ' || left(number, 3) || '-' || substr(number, 4)
    WHEN 3 THEN ' 0' || area || '/' || left(number, 3) || ' ' || substr(number, 4, 2) || ' ' || substr(number, 6)
    WHEN 4 THEN '0' || area || number
    WHEN 5 THEN ''
    WHEN 6 THEN '-'
    WHEN 7 THEN NULL
    ELSE '+49 (' || area || ') ' || number
  END;

-- 1. region: the small table that became two plain columns in the new system
CREATE TABLE legacy.region (
  id      integer PRIMARY KEY,
  label   varchar(40) NOT NULL,
  country varchar(2) NOT NULL
);
INSERT INTO legacy.region (id, label, country) VALUES
  (10, 'North Coast', 'DE'), (11, 'Rhine Valley', 'DE'), (12, 'Bavaria & Swabia', 'DE'), (20, 'Île-de-France', 'FR'),
  (21, 'Côte d''Azur', 'FR'), (30, 'Österreich Ost', 'AT'), (40, 'Zürich', 'CH'), (50, 'Småland', 'SE'),
  (60, 'Małopolska', 'PL'), (70, 'Yorkshire', 'GB'), (80, 'Andalucía', 'ES'), (99, 'Rest of the world (100%)', 'XX');

-- 2. company
CREATE TABLE legacy.company (
  id           integer NOT NULL,
  name         varchar(200) NOT NULL,
  status       integer NOT NULL,              -- 0 prospect, 1 active, 2 dormant, 9 closed
  "group"      varchar(1),                    -- A, B, C
  region_id    integer,
  owner        integer NOT NULL DEFAULT 0,    -- the company that owns this one; 0: nobody
  vat_no       varchar(40),
  website      varchar(120),
  phone        varchar(40),
  credit_cents integer NOT NULL DEFAULT 0,
  founded      integer NOT NULL DEFAULT 0,    -- yyyymmdd; 0: unknown
  deleted      smallint NOT NULL DEFAULT 0
);

CREATE TEMP TABLE stem AS
SELECT i::integer - 1 AS i, name, lower(regexp_replace(translate(name, 'ÅÖÉéèøüęźŁ', 'AOEeeouezL'), '[^A-Za-z]', '', 'g')) AS slug
FROM unnest(ARRAY[
  'Nordwind', 'Ostertal', 'Brightwater', 'Kestrel', 'Marlowe', 'Halden', 'Quillon', 'Silberbach', 'Tamarisk', 'Vireo',
  'Aurelio', 'Bonheur', 'Cascadia', 'Delmara', 'Everstone', 'Fjordland', 'Granat', 'Hollis', 'Iberis', 'Juniper',
  'Kaltenberg', 'Larkspur', 'Mistral', 'Novella', 'Orchard', 'Peregrine', 'Quarry', 'Rowan', 'Solène', 'Thornbury',
  'Umbra', 'Valoria', 'Westmark', 'Xenia', 'Yarrow', 'Zephyr', 'Ångfors', 'Österlund', 'L''Étoile', 'O''Hara',
  'Müggel', 'Søndergaard', 'Łabędź', 'Smith & Wren', 'Three Rivers', '"Quick" Fox']) WITH ORDINALITY AS word(name, i);

CREATE TEMP TABLE firm AS
SELECT n, 1000 + 3 * n + pg_temp.pick(n, 1, 3) AS id, n % 50 = 7 AS holds, n % 50 <> 7 AND pg_temp.pick(n, 2, 100) < 4 AS deleted,
       a.name AS stem, a.slug || CASE WHEN n % 3 = 0 THEN '-' || b.slug ELSE '' END AS slug, b.name AS stem2, c.name AS stem3,
       (ARRAY['Logistics', 'Bakery', 'Engineering', 'Textiles', 'Software', 'Foods', 'Optics', 'Shipping', 'Ceramics', 'Pharma',
              'Timber', 'Insurance', 'Consulting', 'Print', 'Seeds', 'Energy', 'Robotics', 'Möbel', 'Travel', 'Tools'])[1 + pg_temp.pick(n, 5, 20)] AS trade,
       (ARRAY['Ltd', 'GmbH', 'S.A.', 'Inc.', 'AG', 'B.V.', 'AB', 'S.r.l.', 'GmbH & Co. KG', 'PLC', 'Oy', 'sp. z o.o.'])[1 + pg_temp.pick(n, 6, 12)] AS form
FROM generate_series(1, 20000) AS n
JOIN stem AS a ON a.i = pg_temp.pick(n, 3, 46)
JOIN stem AS b ON b.i = pg_temp.pick(n, 4, 46)
JOIN stem AS c ON c.i = pg_temp.pick(n, 8, 46);

INSERT INTO legacy.company (id, name, status, "group", region_id, owner, vat_no, website, phone, credit_cents, founded, deleted)
SELECT id,
       CASE
         WHEN n % 61 = 0 THEN left(stem || ' ' || stem2 || ' Holding and Investment Company for the Development of ' || trade
                                   || ' and Related Services, formerly ' || stem3 || ' & Sons ' || form, 140)
         WHEN n % 499 = 0 THEN '  ' || upper(stem) || ' ' || trade || ' ' || form || ' '
         WHEN n % 701 = 0 THEN stem || ' 100% ' || trade || ' \ ' || form
         WHEN n % 907 = 0 THEN stem || ' ' || trade || ' 🚀'
         WHEN n % 3 = 0 THEN stem || ' ' || stem2 || ' ' || trade || ' ' || form
         ELSE stem || ' ' || trade || ' ' || form
       END,
       (ARRAY[0, 0, 1, 1, 1, 1, 1, 1, 2, 9])[1 + pg_temp.pick(n, 10, 10)],
       (ARRAY['A', 'B', 'B', 'C', 'C', 'C', NULL])[1 + pg_temp.pick(n, 11, 7)],
       (ARRAY[10, 10, 10, 11, 11, 12, 20, 21, 30, 40, 50, 60, 70, 80, 99, NULL])[1 + pg_temp.pick(n, 12, 16)],
       CASE WHEN holds OR pg_temp.pick(n, 13, 10) < 7 THEN 0 ELSE (SELECT 1000 + 3 * h + pg_temp.pick(h, 1, 3) FROM (SELECT 7 + 50 * pg_temp.pick(n, 14, 400)) AS holding(h)) END,
       CASE pg_temp.pick(n, 15, 6) WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'de' || (100000000 + n)
         WHEN 3 THEN ' DE ' || substr((100000000 + n)::text, 1, 3) || ' ' || substr((100000000 + n)::text, 4) ELSE 'DE' || (100000000 + n) END,
       CASE pg_temp.pick(n, 16, 5) WHEN 0 THEN NULL WHEN 1 THEN 'HTTP://WWW.' || upper(slug) || '.EXAMPLE/' WHEN 2 THEN 'https://' || slug || '.example'
         ELSE 'www.' || initcap(slug) || '.example' END,
       pg_temp.phone((ARRAY['30', '40', '89', '221', '351'])[1 + pg_temp.pick(n, 17, 5)], (2000000 + pg_temp.pick(n, 18, 7000000))::text, pg_temp.pick(n, 19, 9)),
       CASE WHEN pg_temp.pick(n, 20, 3) = 0 THEN 0 ELSE 1 + pg_temp.pick(n, 21, 50000000) END,
       CASE WHEN pg_temp.pick(n, 22, 5) = 0 THEN 0 ELSE pg_temp.yyyymmdd(date '1871-03-01' + pg_temp.pick(n, 23, 54000)) END,
       deleted::integer::smallint
FROM firm ORDER BY n;
ALTER TABLE legacy.company ADD PRIMARY KEY (id);

-- 3. contact: everyone but the head of a company has a manager, who may have come later (a higher id)
CREATE TABLE legacy.contact (
  id         integer NOT NULL,
  company_id integer NOT NULL,
  manager_id integer,
  first_name varchar(60),
  last_name  varchar(120) NOT NULL,
  email      varchar(200),
  phone      varchar(40),
  born       integer NOT NULL DEFAULT 0,      -- yyyymmdd; 0: unknown
  "user"     varchar(30),
  mailing    varchar(1),                      -- J, N, blank, NULL
  deleted    char(1)                          -- Y, N, NULL
);

CREATE TEMP TABLE given AS
SELECT row_number() OVER ()::integer - 1 AS i, name, slug FROM (VALUES
  ('Anna', 'Anna'), ('Bao', 'Bao'), ('Chloé', 'Chloe'), ('Dimitri', 'Dimitri'), ('Elif', 'Elif'), ('Fatima', 'Fatima'), ('Gunnar', 'Gunnar'), ('Hannah', 'Hannah'),
  ('Ines', 'Ines'), ('Jürgen', 'Juergen'), ('Kofi', 'Kofi'), ('Léa', 'Lea'), ('Miguel', 'Miguel'), ('Nour', 'Nour'), ('Ólafur', 'Olafur'), ('Priya', 'Priya'),
  ('Quentin', 'Quentin'), ('Rosa', 'Rosa'), ('Søren', 'Soeren'), ('Tomasz', 'Tomasz'), ('Uschi', 'Uschi'), ('Vera', 'Vera'), ('Wanjiru', 'Wanjiru'), ('Xiao', 'Xiao'),
  ('Yusuf', 'Yusuf'), ('Zoë', 'Zoe'), ('Jean-Luc', 'JeanLuc'), ('Maria del Mar', 'MariaDelMar'), ('Владимир', 'Vladimir'), ('美咲', 'Misaki'), ('ليلى', 'Layla'), ('William', 'William')
) AS word(name, slug);
CREATE TEMP TABLE family AS
SELECT row_number() OVER ()::integer - 1 AS i, name, slug FROM (VALUES
  ('Abele', 'Abele'), ('Brandt', 'Brandt'), ('Castro', 'Castro'), ('D''Angelo', 'DAngelo'), ('Eriksson', 'Eriksson'), ('Faßbinder', 'Fassbinder'), ('Großmann', 'Grossmann'), ('Hašek', 'Hasek'),
  ('Ibáñez', 'Ibanez'), ('Jansen', 'Jansen'), ('Kowalczyk', 'Kowalczyk'), ('Łukasik', 'Lukasik'), ('McAllister', 'McAllister'), ('Núñez', 'Nunez'), ('O''Brien', 'OBrien'), ('Park', 'Park'),
  ('Quast', 'Quast'), ('Rossi', 'Rossi'), ('Šimić', 'Simic'), ('Tanaka', 'Tanaka'), ('Ünal', 'Uenal'), ('van der Berg', 'vanderBerg'), ('Weiß', 'Weiss'), ('Xu', 'Xu'),
  ('Yıldız', 'Yildiz'), ('Zimmermann', 'Zimmermann'), ('Okonkwo', 'Okonkwo'), ('Petrović', 'Petrovic'), ('de la Cruz', 'delaCruz'), ('Nguyễn', 'Nguyen'), ('Ōe', 'Oe'), ('Baker', 'Baker'),
  ('Ferreira', 'Ferreira'), ('Haugen', 'Haugen'), ('Lindqvist', 'Lindqvist'), ('Moreau', 'Moreau'), ('Nagy', 'Nagy')
) AS word(name, slug);

CREATE TEMP TABLE person AS
SELECT who.n, 5000 + 2 * who.n + pg_temp.pick(who.n, 101, 2) AS id, firm.id AS company_id, firm.slug AS company,
       firm.deleted OR pg_temp.pick(who.n, 104, 100) < 5 AS deleted
FROM generate_series(1, 80000) AS who(n)
JOIN firm ON firm.n = 1 + least(pg_temp.pick(who.n, 102, 20000), pg_temp.pick(who.n, 103, 20000));
CREATE TEMP TABLE ranked AS     -- the staff of a company in an order of their own: living first, so nobody who stays has a manager who goes
SELECT company_id, id, row_number() OVER (PARTITION BY company_id ORDER BY deleted, pg_temp.pick(n, 105, 2147483647), n)::integer AS rank FROM person;
ANALYZE person, ranked;

INSERT INTO legacy.contact (id, company_id, manager_id, first_name, last_name, email, phone, born, "user", mailing, deleted)
SELECT p.id, p.company_id, boss.id,
       CASE WHEN n % 211 = 0 OR n % 12014 = 0 THEN NULL WHEN n % 223 = 0 THEN '' WHEN n % 227 = 0 THEN '   ' || given.name WHEN n % 1013 = 0 THEN given.name || ' 😀'
            WHEN n % 1019 = 0 THEN given.name || ' "' || left(given.slug, 2) || '"' ELSE given.name END,
       CASE WHEN n % 6007 = 0 THEN '' WHEN n % 1021 = 0 THEN family.name || ' (50% part-time)' WHEN n % 1031 = 0 THEN family.name || '\' || second.name
            WHEN n % 131 = 0 THEN family.name || '-' || second.name || ' de ' || second.name || ' e ' || family.name || ' von und zu ' || second.name
            WHEN n % 17 = 0 THEN family.name || '-' || second.name ELSE family.name END,
       CASE pg_temp.pick(n, 111, 12)
         WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN ' ' || given.slug || '.' || family.slug || '@' || initcap(p.company) || '.Example '
         WHEN 3 THEN upper(given.slug || '.' || family.slug || '@' || p.company || '.example')
         WHEN 4 THEN lower(left(given.slug, 1) || family.slug) || n || '@' || p.company || '.example'
         ELSE given.slug || '.' || family.slug || '@' || p.company || '.example' END,
       pg_temp.phone((ARRAY['30', '151', '160', '172', '221', '351', '7071'])[1 + pg_temp.pick(n, 112, 7)], (1000000 + pg_temp.pick(n, 113, 8999999))::text, pg_temp.pick(n, 114, 9)),
       CASE WHEN pg_temp.pick(n, 115, 3) = 0 THEN 0 ELSE pg_temp.yyyymmdd(date '1948-01-01' + pg_temp.pick(n, 116, 19700)) END,
       CASE WHEN pg_temp.pick(n, 117, 4) = 0 THEN lower(left(given.slug, 3) || left(family.slug, 4)) || n END,
       (ARRAY['J', 'N', ' ', NULL])[1 + pg_temp.pick(n, 118, 4)],
       CASE WHEN p.deleted THEN 'Y' WHEN pg_temp.pick(n, 119, 3) = 0 THEN NULL ELSE 'N' END
FROM person AS p
JOIN ranked AS own ON own.id = p.id
LEFT JOIN ranked AS boss ON boss.company_id = p.company_id AND boss.rank = own.rank / 2
JOIN given ON given.i = pg_temp.pick(n, 106, 32)
JOIN family ON family.i = pg_temp.pick(n, 107, 37)
JOIN family AS second ON second.i = pg_temp.pick(n, 108, 37)
ORDER BY p.n;
ALTER TABLE legacy.contact ADD PRIMARY KEY (id);
CREATE INDEX ON legacy.contact (company_id);

-- 4. orders: some were placed by nobody in particular (contact 0); deleted ones may point to whom they like
CREATE TABLE legacy.orders (
  id         integer NOT NULL,
  company_id integer NOT NULL,
  contact_id integer NOT NULL DEFAULT 0,
  ordered    varchar(10) NOT NULL,            -- dd.mm.yyyy
  paid       integer NOT NULL DEFAULT 0,      -- yyyymmdd; 0: not paid
  status     integer NOT NULL,                -- 0 draft, 1 open, 2 paid, 9 cancelled
  "desc"     varchar(200),
  net_cents  integer NOT NULL,
  tax_rate   smallint NOT NULL,               -- per cent
  currency   varchar(3) NOT NULL,
  clerk      varchar(20),
  deleted    smallint NOT NULL DEFAULT 0
);

CREATE TEMP TABLE buyer AS
SELECT id, company_id, deleted, row_number() OVER (PARTITION BY deleted ORDER BY n)::integer - 1 AS i FROM person;
ANALYZE buyer;

INSERT INTO legacy.orders (id, company_id, contact_id, ordered, paid, status, "desc", net_cents, tax_rate, currency, clerk, deleted)
SELECT wish.id, buyer.company_id, CASE WHEN pg_temp.pick(n, 214, 100) < 15 THEN 0 ELSE buyer.id END, to_char(day, 'DD.MM.YYYY'), CASE WHEN status = 2 THEN pg_temp.yyyymmdd(day + pg_temp.pick(n, 205, 60)) ELSE 0 END, status,
       CASE WHEN n % 37 = 0 THEN NULL WHEN n % 41 = 0 THEN '' WHEN n % 43 = 0 THEN
              quantity || ' x ' || product || ' with the extended service agreement; deliver to the rear gate between 7 and 9, ask for "the boss" (10% off)'
            ELSE quantity || ' x ' || product END,
       quantity * (95 + pg_temp.pick(n, 206, 40000)),
       (ARRAY[19, 19, 19, 7, 7, 0])[1 + pg_temp.pick(n, 207, 6)],
       (ARRAY['EUR', 'EUR', 'EUR', 'eur', 'Eur', 'CHF', 'SEK', 'gbp'])[1 + pg_temp.pick(n, 208, 8)],
       (ARRAY['mh', 'MH ', 'tk', 'Jo', 'system', NULL])[1 + pg_temp.pick(n, 209, 6)],
       gone::integer::smallint
FROM (
  SELECT n, 100000 + 3 * n + pg_temp.pick(n, 201, 3) AS id, pg_temp.pick(n, 202, 100) < 3 AS gone, date '2009-01-05' + n / 26 + pg_temp.pick(n, 203, 5) AS day,
         CASE WHEN n > 147000 THEN pg_temp.pick(n, 204, 2) ELSE (ARRAY[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 9])[1 + pg_temp.pick(n, 204, 12)] END AS status,
         1 + pg_temp.pick(n, 210, 12) * pg_temp.pick(n, 211, 3) AS quantity,
         (ARRAY['Pallet of bricks', 'Maintenance contract', 'Câble 3m', 'Dough mixer', 'Licence, annual', 'Seed drill "S7"', 'Pump 1/2"', 'Training day',
                'Größe-L Kittel', 'Box of lenses', 'Consulting, hour', 'Spare part #4711'])[1 + pg_temp.pick(n, 212, 12)] AS product
  FROM generate_series(1, 150000) AS n
) AS wish
JOIN (SELECT deleted AS of_the_gone, count(*)::integer AS buyers FROM person GROUP BY deleted) AS side ON of_the_gone = (gone AND n % 2 = 0)
JOIN buyer ON buyer.deleted = of_the_gone AND buyer.i = pg_temp.pick(n, 213, buyers)
ORDER BY n;
ALTER TABLE legacy.orders ADD PRIMARY KEY (id);
CREATE INDEX ON legacy.orders (company_id);

DROP TABLE buyer, ranked, person, family, given, firm, stem;
ANALYZE legacy.region, legacy.company, legacy.contact, legacy.orders;
