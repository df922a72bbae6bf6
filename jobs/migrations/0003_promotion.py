"""Runs keep the fingerprint of their tables, and the database keeps revisions that a run was made of."""

from django.db import migrations, models

APPLY = """
CREATE FUNCTION jobs_used_revision_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    used_by bigint;
BEGIN
    SELECT id INTO used_by FROM jobs_run WHERE revision_id = OLD.id ORDER BY id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'revision % of mapping % is used by run %', OLD.number, OLD.mapping_id, used_by
            USING ERRCODE = 'restrict_violation', HINT = 'What a run was made of stays.';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER used_revision_stays BEFORE DELETE ON mappings_revision
    FOR EACH ROW EXECUTE FUNCTION jobs_used_revision_stays();
"""
UNDO = """
DROP TRIGGER used_revision_stays ON mappings_revision;
DROP FUNCTION jobs_used_revision_stays();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0002_troubles_are_counted"),
        ("mappings", "0002_revisions_are_frozen"),
    ]
    operations = [
        migrations.AddField(
            model_name="run",
            name="fingerprint",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.RunSQL(APPLY, UNDO),
    ]
