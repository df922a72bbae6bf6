"""The chain of revisions cannot be emptied past the triggers that look at each row."""

from django.db import migrations

APPLY = """
CREATE FUNCTION mappings_revisions_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'revisions are links of a chain'
        USING ERRCODE = 'restrict_violation', HINT = 'Revisions go with their mapping, never alone.';
END
$$;
CREATE TRIGGER revisions_stay BEFORE TRUNCATE ON mappings_revision
    FOR EACH STATEMENT EXECUTE FUNCTION mappings_revisions_stay();
"""
UNDO = """
DROP TRIGGER revisions_stay ON mappings_revision;
DROP FUNCTION mappings_revisions_stay();
"""


class Migration(migrations.Migration):
    dependencies = [("mappings", "0003_revisions_form_a_chain")]
    operations = [migrations.RunSQL(APPLY, UNDO)]
