"""What came of invented visits and customers: follow-ups and tags, which the database derives from their rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from customers.models import FollowUp, Tag

# After each third visit of the better grades. Of the last weeks half are open, of those before one in fifty; the
# others were done after 1 to 100 hours, every other one within a day. One in five is nobody's.
FOLLOW_UPS = """
    INSERT INTO customers_followup (customer_id, visit_id, assignee_id, channel, due_at, priority, note, outcome,
        completed_at, created_at, updated_at)
    SELECT customer_id, id, CASE WHEN id %% 5 > 0 THEN (%(team)s::bigint[])[1 + id / 5 %% %(size)s] END,
        (%(channels)s)[1 + id / 3 %% 5], due_at, CASE grade WHEN 'A' THEN 1 ELSE 2 + id / 3 %% 2 END, '',
        CASE WHEN is_open THEN '' ELSE (%(outcomes)s)[1 + id / 3 %% 5] END,
        CASE WHEN NOT is_open THEN done_at END, visited_at, least(done_at, %(now)s)
    FROM (
        SELECT *, visited_at + CASE grade WHEN 'A' THEN interval '1 day' ELSE interval '2 days' END AS due_at,
            done_at > %(now)s OR id / 3 %% CASE WHEN visited_at > %(now)s - interval '6 weeks' THEN 2 ELSE 50 END = 0
                AS is_open
        FROM customers_visit,
            LATERAL (SELECT visited_at + interval '1 hour' * (1 + (id * 37 %% 100) ^ 2 / 100)) AS done (done_at)
        WHERE customer_id >= %(first)s AND grade IN ('A', 'B') AND id %% 3 = 0
    ) AS visit
"""
# So many customers of each hundred have the tag.
TAGS = {"Newsletter": 20, "Reseller": 7, "Press": 2, "VIP": 1}
TAGGED = """
    INSERT INTO customers_customer_tags (customer_id, tag_id)
    SELECT id, %s FROM customers_customer WHERE id >= %s AND id * 61 %% 100 BETWEEN %s AND %s
"""


def follow_up(first_customer: int, team: Sequence[int], now: datetime) -> int:
    """Add follow-ups of the visits of this customer and all later ones; returns how many."""
    values = {"first": first_customer, "team": list(team), "size": max(1, len(team)), "now": now}
    choices = {"channels": FollowUp.Channel.values, "outcomes": FollowUp.Outcome.values}
    return inserted(FOLLOW_UPS, values | choices)


def tag(first_customer: int) -> int:
    """Tag some from this customer on; returns how many tags were given."""
    rows, share = 0, 0
    for name, percent in TAGS.items():
        tag = Tag.objects.filter(name__iexact=name).first() or Tag.objects.create(name=name)
        rows += inserted(TAGGED, [tag.pk, first_customer, share, share + percent - 1])
        share += percent
    return rows


def inserted(statement: str, values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)
