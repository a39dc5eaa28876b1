from django.db import migrations

# What core_apps.cache.versioned_cache asks for. Once for each transaction, to any row that nobody holds, so that writers
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

    operations = [
        migrations.RunSQL(DATA_VERSION, "DROP FUNCTION advance_data_version CASCADE; DROP TABLE data_version"),
    ]
