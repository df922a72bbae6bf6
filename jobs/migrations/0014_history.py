"""Entries that the database itself numbers, dates and chains, and of which it changes and deletes none."""

from django.db import migrations, models

APPLY = """
CREATE FUNCTION jobs_history_hash(e jobs_historyentry) RETURNS text LANGUAGE sql STABLE AS $$
    -- the same array as HASHED in jobs/history/chain.py
    SELECT encode(sha256(convert_to(jsonb_build_array(
        e.number, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), e.kind, e.verb, e.outcome,
        e.actor, e.way, e.place, e.address, e.mapping, e.revision, e.sha256, e.environment, e.run, e.subject,
        e.text, e.previous)::text, 'UTF8')), 'hex')
$$;

-- One entry after the other: the lock on the head is held to the end of the transaction, so that an entry that is
-- rolled back leaves no gap. A head that somebody took away or set back is told by the check, and stops nobody.
CREATE FUNCTION jobs_history_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE head jobs_historyhead;
BEGIN
    INSERT INTO jobs_historyhead (id, number, hash)
    SELECT 1, coalesce(max(number), 0), coalesce(
        (SELECT hash FROM jobs_historyentry ORDER BY number DESC LIMIT 1), '') FROM jobs_historyentry
    WHERE NOT EXISTS (SELECT FROM jobs_historyhead WHERE id = 1)
    ON CONFLICT (id) DO NOTHING;
    SELECT * INTO head FROM jobs_historyhead WHERE id = 1 FOR UPDATE;
    NEW.number := greatest(head.number, (SELECT max(number) FROM jobs_historyentry)) + 1;
    NEW.at := clock_timestamp();
    NEW.previous := head.hash;
    NEW.hash := jobs_history_hash(NEW);
    UPDATE jobs_historyhead SET number = NEW.number, hash = NEW.hash WHERE id = 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER history_is_chained BEFORE INSERT ON jobs_historyentry
    FOR EACH ROW EXECUTE FUNCTION jobs_history_chain();

CREATE FUNCTION jobs_history_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history is added to, and never changed'
        USING ERRCODE = 'restrict_violation', HINT = 'What was wrong is told by another entry.';
END
$$;
CREATE TRIGGER history_stays BEFORE UPDATE OR DELETE ON jobs_historyentry
    FOR EACH ROW EXECUTE FUNCTION jobs_history_stays();
CREATE TRIGGER history_is_not_emptied BEFORE TRUNCATE ON jobs_historyentry
    FOR EACH STATEMENT EXECUTE FUNCTION jobs_history_stays();
CREATE TRIGGER history_head_moves_on BEFORE UPDATE ON jobs_historyhead
    FOR EACH ROW WHEN (pg_trigger_depth() < 1) EXECUTE FUNCTION jobs_history_stays();
CREATE TRIGGER history_head_stays BEFORE DELETE ON jobs_historyhead
    FOR EACH ROW EXECUTE FUNCTION jobs_history_stays();
CREATE TRIGGER history_head_is_not_emptied BEFORE TRUNCATE ON jobs_historyhead
    FOR EACH STATEMENT EXECUTE FUNCTION jobs_history_stays();
"""
UNDO = """
DROP TRIGGER history_is_chained ON jobs_historyentry;
DROP TRIGGER history_stays ON jobs_historyentry;
DROP TRIGGER history_is_not_emptied ON jobs_historyentry;
DROP TRIGGER history_head_moves_on ON jobs_historyhead;
DROP TRIGGER history_head_stays ON jobs_historyhead;
DROP TRIGGER history_head_is_not_emptied ON jobs_historyhead;
DROP FUNCTION jobs_history_chain();
DROP FUNCTION jobs_history_stays();
DROP FUNCTION jobs_history_hash(jobs_historyentry);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0013_differences"),
    ]

    operations = [
        migrations.CreateModel(
            name="HistoryHead",
            fields=[
                ("id", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("number", models.BigIntegerField()),
                ("hash", models.CharField(blank=True, max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="HistoryWatch",
            fields=[
                ("id", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("number", models.BigIntegerField(default=0)),
                ("hash", models.CharField(blank=True, max_length=64)),
                ("broken", models.JSONField(default=list)),
                ("last_number", models.BigIntegerField(default=0)),
                ("last_at", models.DateTimeField(blank=True, null=True)),
                ("last_broken", models.JSONField(default=list)),
                ("looked_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="HistoryEntry",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("kind", models.CharField(max_length=20)),
                ("verb", models.CharField(max_length=40)),
                ("outcome", models.CharField(max_length=10)),
                ("actor", models.CharField(blank=True, max_length=150)),
                ("way", models.CharField(max_length=10)),
                ("place", models.CharField(blank=True, max_length=200)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("mapping", models.CharField(blank=True, max_length=63)),
                ("revision", models.PositiveIntegerField(blank=True, null=True)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("environment", models.CharField(blank=True, max_length=63)),
                ("run", models.BigIntegerField(blank=True, null=True)),
                ("subject", models.CharField(blank=True, max_length=200)),
                ("text", models.TextField(blank=True)),
                ("previous", models.CharField(blank=True, max_length=64)),
                ("hash", models.CharField(max_length=64)),
            ],
            options={
                "ordering": ["-number"],
                "indexes": [
                    models.Index(fields=["mapping", "-number"], name="history_of_mapping"),
                    models.Index(fields=["actor", "-number"], name="history_of_actor"),
                    models.Index(fields=["run", "-number"], name="history_of_run"),
                    models.Index(fields=["-at"], name="history_by_time"),
                ],
            },
        ),
        migrations.RunSQL(APPLY, UNDO),
    ]
