from core_apps.messaging.models import Message
from core_apps.operations.measurements import count_recent, measure

SECONDS = 60  # as the figures are read by people


@measure("messages", "Messages of the last 24 hours", label="state", seconds=SECONDS)
def count_messages() -> dict[str, float]:
    return count_recent(Message.objects.all(), Message.State)
