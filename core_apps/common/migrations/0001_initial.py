import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.operations import TrigramExtension, UnaccentExtension
from django.db import migrations, models

# What core_apps.common.versioned_cache asks for. Once for each transaction, to any row that nobody holds, so that writers
# never wait for each other; a savepoint that is rolled back takes the setting back as well.
DATA_VERSION = """
CREATE TABLE data_version (slot serial PRIMARY KEY, n bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50);
INSERT INTO data_version (n) SELECT 0 FROM generate_series(1, 64);

CREATE FUNCTION advance_data_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('data_version.advanced_by', true) = pg_current_xact_id()::text THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('data_version.advanced_by', pg_current_xact_id()::text, true);
    -- Another isolation level would refuse a row that changed after its snapshot.
    UPDATE public.data_version SET n = n + 1
    WHERE slot = (SELECT slot FROM public.data_version LIMIT 1 FOR UPDATE SKIP LOCKED)
    AND current_setting('transaction_isolation') = 'read committed';
    IF NOT FOUND THEN
        INSERT INTO public.data_version (n) VALUES (1);
    END IF;
    RETURN NULL;
END
$$;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

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
        migrations.RunSQL(DATA_VERSION, "DROP FUNCTION advance_data_version CASCADE; DROP TABLE data_version"),
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=255)),
                ("fingerprint", models.CharField(max_length=64)),
                ("public_id", models.UUIDField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["created_at"], name="idempotency_key_by_age")],
                "constraints": [models.UniqueConstraint(fields=("user", "key"), name="idempotency_key_once")],
            },
        ),
    ]
