"""Adds follow-ups and tags to generated visits and customers; the database derives them from their rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from customers.models import FollowUp, Tag

# One for every third visit of grades A and B. Half of those of the last six weeks are open, and one in fifty of the
# earlier ones; the others were done after 1 to 100 hours, half of them within a day. One in five has no assignee.
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
# Percentages of customers with each tag.
TAGS = {"Newsletter": 20, "Reseller": 7, "Press": 2, "VIP": 1}
TAGGED = """
    INSERT INTO customers_customer_tags (customer_id, tag_id)
    SELECT id, %s FROM customers_customer WHERE id >= %s AND id * 61 %% 100 BETWEEN %s AND %s
"""


def add_follow_ups(first_customer: int, team: Sequence[int], now: datetime) -> int:
    """Add follow-ups to the visits of this customer and all later ones; return their number."""
    values = {"first": first_customer, "team": list(team), "size": max(1, len(team)), "now": now}
    choices = {"channels": FollowUp.Channel.values, "outcomes": FollowUp.Outcome.values}
    return insert(FOLLOW_UPS, values | choices)


def add_tags(first_customer: int) -> int:
    """Tag some of the customers from this one on; return the number of tags."""
    rows, share = 0, 0
    for name, percent in TAGS.items():
        tag = Tag.objects.filter(name__iexact=name).first() or Tag.objects.create(name=name)
        rows += insert(TAGGED, [tag.pk, first_customer, share, share + percent - 1])
        share += percent
    return rows


def insert(statement: str, values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)
