"""Triggers that add a delivery for each event, in the transaction that causes it and whatever causes it."""

from django.db.migrations import RunSQL

ACTIONS = {
    "insert": ("created", "NEW TABLE AS new_rows", "SELECT public_id FROM new_rows"),
    "update": (
        "changed",
        "OLD TABLE AS old_rows NEW TABLE AS new_rows",
        "SELECT after.public_id FROM new_rows after JOIN old_rows before USING (id)"
        " WHERE to_jsonb(after) - ignored <> to_jsonb(before) - ignored",
    ),
    "delete": ("erased", "OLD TABLE AS old_rows", "SELECT public_id FROM old_rows"),
}
IGNORED = "{updated_at,search_text}"
FUNCTION = """
CREATE FUNCTION webhooks_{action}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    event_name text := TG_ARGV[0];
    ignored text[] := '{ignored}';
BEGIN
    IF NOT EXISTS (SELECT FROM webhooks_endpoint WHERE state = 'active' AND event_name = ANY (events)) THEN
        RETURN NULL;
    END IF;
    WITH subjects AS ({subjects}), deliveries AS (
        INSERT INTO webhooks_delivery (id, endpoint_id, event, subject, state, response)
        SELECT gen_random_uuid(), endpoint.id, event_name, subjects.public_id, 'pending', ''
        FROM subjects CROSS JOIN webhooks_endpoint endpoint
        WHERE endpoint.state = 'active' AND event_name = ANY (endpoint.events)
        RETURNING id
    )
    INSERT INTO tasks_task (id, kind, queue, payload, priority, state, attempts, error)
    SELECT gen_random_uuid(), 'webhooks.deliver', 'webhooks', jsonb_build_object('delivery', id), 1, 'queued', 0, ''
    FROM deliveries;
    RETURN NULL;
END $$;
"""
TRIGGER = """
CREATE TRIGGER webhooks_{action} AFTER {action} ON {table} REFERENCING {rows}
    FOR EACH STATEMENT EXECUTE FUNCTION webhooks_{action}('{event}');
"""


def create_functions() -> RunSQL:
    """A migration's operation, of this app."""
    create = "".join(
        FUNCTION.format(action=action, ignored=IGNORED, subjects=subjects)
        for action, (_, _, subjects) in ACTIONS.items()
    )
    return RunSQL(create, "".join(f"DROP FUNCTION webhooks_{action}();" for action in ACTIONS))


def announce(table: str, name: str) -> RunSQL:
    """A migration's operation: endpoints can be told of `name.created`, `name.changed` and `name.erased`.

    The table has the columns `id` and `public_id`.
    """
    create = "".join(
        TRIGGER.format(action=action, table=table, rows=rows, event=f"{name}.{word}")
        for action, (word, rows, _) in ACTIONS.items()
    )
    return RunSQL(create, "".join(f"DROP TRIGGER webhooks_{action} ON {table};" for action in ACTIONS))
