"""The database itself refuses to change a revision: no code path, shell or other program can."""

from django.db import migrations

APPLY = """
CREATE FUNCTION mappings_revision_is_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'revision % of mapping % is frozen', OLD.number, OLD.mapping_id
        USING ERRCODE = 'restrict_violation',
              HINT = 'Save the changed mapping as a new revision.';
END
$$;
CREATE TRIGGER revision_is_frozen BEFORE UPDATE ON mappings_revision
    FOR EACH ROW EXECUTE FUNCTION mappings_revision_is_frozen();
"""
UNDO = """
DROP TRIGGER revision_is_frozen ON mappings_revision;
DROP FUNCTION mappings_revision_is_frozen();
"""


class Migration(migrations.Migration):
    dependencies = [("mappings", "0001_initial")]
    operations = [migrations.RunSQL(APPLY, UNDO)]
