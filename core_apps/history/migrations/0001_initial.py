import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

# Names with their schema: pg_restore runs with none in its search path.
FUNCTIONS = """
-- The change of this transaction and cause, added when the first row is recorded.
CREATE FUNCTION history_current_change() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    cause text := coalesce(current_setting('history.cause', true), '');
    mark text := pg_current_xact_id() || cause;
    change bigint;
BEGIN
    IF current_setting('history.mark', true) = mark THEN
        RETURN current_setting('history.change')::bigint;
    END IF;
    PERFORM public.history_delete_expired();
    INSERT INTO public.history_change (user_id, source, detail)
    SELECT (value->>'user')::bigint, coalesce(value->>'source', 'sql'), coalesce(value->>'detail', session_user)
    FROM (SELECT nullif(cause, '')::jsonb AS value) AS parsed
    RETURNING id INTO change;
    PERFORM set_config('history.mark', mark, true), set_config('history.change', change::text, true);
    RETURN change;
END
$$;

-- Three years, two editions of a biennial fair. A few at a time, skipping what another transaction deletes.
CREATE FUNCTION history_delete_expired() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    expiry timestamptz := now() - interval '3 years';
BEGIN
    IF (SELECT at FROM public.history_change ORDER BY id LIMIT 1) < expiry THEN
        DELETE FROM public.history_rowchange WHERE id IN (
            SELECT id FROM public.history_rowchange ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
        ) AND change_id IN (SELECT id FROM public.history_change WHERE at < expiry);
        DELETE FROM public.history_change WHERE id IN (
            SELECT id FROM public.history_change
            WHERE at < expiry AND id < (SELECT change_id FROM public.history_rowchange ORDER BY id LIMIT 1)
            ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
        );
    END IF;
END
$$;

-- Arguments: the columns with the row's and the subject's id, then those that are not recorded.
CREATE FUNCTION history_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public.history_rowchange (change_id, action, "table", "row", subject, after)
        SELECT (SELECT public.history_current_change()), 'I', TG_TABLE_NAME,
            (value->>TG_ARGV[0])::bigint, (value->>TG_ARGV[1])::bigint, value - TG_ARGV[2:]
        FROM (SELECT to_jsonb(new_rows) AS value FROM new_rows OFFSET 0) AS added;
    ELSE
        INSERT INTO public.history_rowchange (change_id, action, "table", "row", subject, before)
        SELECT (SELECT public.history_current_change()), 'D', TG_TABLE_NAME,
            (value->>TG_ARGV[0])::bigint, (value->>TG_ARGV[1])::bigint, value - TG_ARGV[2:]
        FROM (SELECT to_jsonb(old_rows) AS value FROM old_rows OFFSET 0) AS deleted;
        IF TG_ARGV[1] = 'id' THEN
            -- Of a visit that came to this person later, the entries from before as well.
            UPDATE public.history_rowchange SET before = NULL, after = NULL WHERE id IN (
                SELECT entry.id FROM public.history_rowchange own
                JOIN public.history_rowchange entry ON entry."row" = own."row" AND entry."table" = own."table"
                WHERE own.subject IN (SELECT id FROM old_rows)
            );
        END IF;
    END IF;
    RETURN NULL;
END
$$;

-- First which columns have changed, then their values: JSON of whole rows would take three times as long.
CREATE FUNCTION history_write_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    tests text;
    changed text[];
BEGIN
    SELECT string_agg(format('CASE WHEN bool_or(o.%1$I IS DISTINCT FROM n.%1$I) THEN %1$L END', attname), ', ')
    INTO tests FROM pg_attribute
    WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped AND attname <> ALL (TG_ARGV[2:]);
    EXECUTE format('SELECT array_remove(ARRAY[%s], NULL) FROM old_rows o JOIN new_rows n USING (id)', tests) INTO changed;
    IF changed = '{}' THEN
        RETURN NULL;
    END IF;
    EXECUTE (
        SELECT format(
            'INSERT INTO public.history_rowchange (change_id, action, "table", "row", subject, before, after)'
            ' SELECT $1, ''U'', $2, n.%1$I, %2$s, jsonb_build_object(%3$s) - ARRAY[%5$s], jsonb_build_object(%4$s) - ARRAY[%5$s]'
            ' FROM old_rows o JOIN new_rows n USING (id) WHERE (%6$s)',
            TG_ARGV[0], coalesce('n.' || quote_ident(nullif(TG_ARGV[1], '')), 'NULL'),
            string_agg(format('%1$L, o.%1$I', name), ', '), string_agg(format('%1$L, n.%1$I', name), ', '),
            string_agg(format('CASE WHEN o.%1$I IS NOT DISTINCT FROM n.%1$I THEN %1$L END', name), ', '),
            string_agg(format('o.%1$I IS DISTINCT FROM n.%1$I', name), ' OR ')
        ) FROM unnest(changed) AS name
    ) USING public.history_current_change(), TG_TABLE_NAME;
    RETURN NULL;
END
$$;
"""


# No query needs them, and ANALYZE of an emptied table keeps its samples, which are personal data.
STATISTICS = """
ALTER TABLE history_change ALTER detail SET STATISTICS 0;
ALTER TABLE history_rowchange ALTER before SET STATISTICS 0, ALTER after SET STATISTICS 0;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("admin", "Admin"),
                            ("api", "API"),
                            ("import", "Import"),
                            ("revert", "Import reverted"),
                            ("command", "Command"),
                            ("sql", "Database"),
                        ],
                        max_length=10,
                    ),
                ),
                ("detail", models.TextField(blank=True)),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RowChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "action",
                    models.CharField(choices=[("I", "Added"), ("U", "Changed"), ("D", "Deleted")], max_length=1),
                ),
                ("table", models.TextField()),
                ("row", models.BigIntegerField()),
                ("subject", models.BigIntegerField(null=True)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                (
                    "change",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="rows",
                        to="history.change",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="change",
            index=models.Index(condition=models.Q(("source", "import")), fields=["-id"], name="history_import"),
        ),
        migrations.AddIndex(
            model_name="rowchange",
            index=models.Index(fields=["row", "table", "id"], name="history_of_row"),
        ),
        migrations.AddIndex(
            model_name="rowchange",
            index=models.Index(
                condition=models.Q(("subject__isnull", False)), fields=["subject", "id"], name="history_of_subject"
            ),
        ),
        migrations.AddIndex(
            model_name="rowchange",
            index=django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["change"], name="history_of_change"
            ),
        ),
        migrations.RunSQL(STATISTICS, migrations.RunSQL.noop),
        migrations.RunSQL(
            FUNCTIONS,
            "DROP FUNCTION history_write, history_write_update CASCADE; DROP FUNCTION history_current_change, history_delete_expired",
        ),
    ]
