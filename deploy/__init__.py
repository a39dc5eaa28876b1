"""Programs that run on the host, outside of containers. Standard library only: nothing is installed there."""

import sys
from pathlib import Path

# For `backup.text`, which formats sizes and durations.
sys.path.append(str(Path(__file__).resolve().parents[1] / "docker"))
