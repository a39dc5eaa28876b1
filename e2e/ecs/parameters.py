"""Prints which parameters in a file the API of ECS does not know. For the interpreter in .local/manifests."""

import json
import sys
from pathlib import Path

from botocore.session import get_session
from botocore.validate import ParamValidator

operation = get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition")
parameters = json.loads(Path(sys.argv[1]).read_text())
print(ParamValidator().validate(parameters, operation.input_shape).generate_report())
