"""The example requests of the documentation; customers/tests/test_api_schema.py sends each of them."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer

CUSTOMER = "5f0c2f2e-8d1c-4a52-9d53-0a4c1f5a7e01"
COMPANY = "5f0c2f2e-8d1c-4a52-9d53-0a4c1f5a7e02"
EXHIBITION = "5f0c2f2e-8d1c-4a52-9d53-0a4c1f5a7e03"
VISIT = "5f0c2f2e-8d1c-4a52-9d53-0a4c1f5a7e04"

REQUESTS: dict[str, dict[str, Any]] = {
    "exhibitions": {
        "name": "Light + Building",
        "edition": "2028",
        "city": "Frankfurt am Main",
        "country": "DE",
        "time_zone": "Europe/Berlin",
        "starts_on": "2028-03-05",
        "ends_on": "2028-03-10",
    },
    "companies": {"name": "Solberg Lys", "domain": "solberg.example", "country": "NO", "industry": "Lighting"},
    "tags": {"name": "Newsletter"},
    "customers": {
        "given_name": "Nils",
        "family_name": "Holm",
        "email": "nils@fjord.example",
        "phone": "+47 22 12 34 56",
        "company": COMPANY,
        "stage": "prospect",
        "tags": ["VIP"],
    },
    "visits": {
        "customer": CUSTOMER,
        "exhibition": EXHIBITION,
        "visited_at": "2026-03-11T09:30:00+01:00",
        "grade": "A",
        "interests": ["LED"],
        "note": "Wants a quote",
    },
    "follow-ups": {
        "customer": CUSTOMER,
        "visit": VISIT,
        "channel": "phone",
        "due_at": "2026-03-13T09:00:00Z",
        "priority": 1,
        "note": "Send the quote",
    },
    "visits/capture": {
        "entries": [
            {
                "client_uuid": "9b2f3c1a-1f0e-4b7c-8d55-6d0b6f1f2a01",
                "exhibition": EXHIBITION,
                "new_customer": {"given_name": "Marta", "email": "marta@solberg.example", "company": "Solberg"},
                "visited_at": "2026-03-11T09:45:00+01:00",
                "grade": "B",
            }
        ]
    },
}


def with_example(path: str) -> Any:
    """Decorate the serializer of the request."""
    return extend_schema_serializer(examples=[OpenApiExample("Example", REQUESTS[path], request_only=True)])
