"""What runs on a host outside of containers. Standard library only: nothing is installed there."""

import sys
from pathlib import Path

# For `backup.text`: a restore tells figures as the backup's own programs do.
sys.path.append(str(Path(__file__).resolve().parents[1] / "docker"))
