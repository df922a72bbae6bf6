"""The database keeps the chain of revisions whole: one goes only together with its mapping."""

from django.db import migrations

APPLY = """
CREATE FUNCTION mappings_revision_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM mappings_mapping WHERE id = OLD.mapping_id) THEN
        RAISE EXCEPTION 'revision % of mapping % is a link of its chain', OLD.number, OLD.mapping_id
            USING ERRCODE = 'restrict_violation', HINT = 'Revisions go with their mapping, never alone.';
    END IF;
    RETURN NULL;
END
$$;
-- Deferred, because Django deletes the revisions of a mapping before the mapping itself.
CREATE CONSTRAINT TRIGGER revision_stays AFTER DELETE ON mappings_revision
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION mappings_revision_stays();
"""
UNDO = """
DROP TRIGGER revision_stays ON mappings_revision;
DROP FUNCTION mappings_revision_stays();
"""


class Migration(migrations.Migration):
    dependencies = [("mappings", "0002_revisions_are_frozen")]
    operations = [migrations.RunSQL(APPLY, UNDO)]
