from django.contrib.postgres.operations import TrigramExtension, UnaccentExtension
from django.db import migrations


class Migration(migrations.Migration):
    initial = True

    operations = [
        # Both extensions are trusted: the database's owner may add them.
        TrigramExtension(),
        UnaccentExtension(),
        # Text made comparable. Names with their schema: pg_restore runs with none in its search path.
        migrations.RunSQL(
            "CREATE FUNCTION folded(words text) RETURNS text LANGUAGE sql STABLE STRICT PARALLEL SAFE"
            " AS $$ SELECT upper(public.unaccent('public.unaccent'::regdictionary, words)) $$",
            "DROP FUNCTION folded(text)",
        ),
    ]
