"""The documented error codes, each with its HTTP status and text, and the phone numbers that cause it."""

ERRORS = {
    0: (401, "AuthException"),
    1: (400, "API Unknown"),
    2: (503, "API Service"),
    4: (400, "API Too Many Calls"),
    10: (403, "Permission Denied"),
    100: (400, "Invalid parameter"),
    190: (401, "Access token has expired"),
    368: (403, "Temporarily blocked for policies violations"),
    80007: (400, "Rate limit issues"),
    130429: (400, "Rate limit hit"),
    130472: (400, "User's number is part of an experiment"),
    131000: (500, "Something went wrong"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131016: (500, "Service unavailable"),
    131026: (400, "Message undeliverable"),
    131031: (403, "Account has been locked"),
    131047: (400, "Re-engagement message"),
    131048: (400, "Spam rate limit hit"),
    131049: (400, "Meta chose not to deliver"),
    131050: (400, "User has stopped receiving marketing messages from this business"),
    131051: (400, "Unsupported message type"),
    131056: (400, "(Business Account, Consumer Account) pair rate limit hit"),
    131062: (400, "Business-scoped user ID recipients are not supported for this message"),
    132000: (400, "Template param count mismatch"),
    132001: (404, "Template does not exist"),
    132005: (400, "Template hydrated text too long"),
    132007: (400, "Template format character policy violated"),
    132012: (400, "Template parameter format mismatch"),
    132015: (400, "Template is paused"),
    132016: (400, "Template is disabled"),
    133010: (400, "Phone number not registered"),
}
# Reserved for fiction by the Bundesnetzagentur. To the former the API refuses the message; to the latter it accepts it,
# and the status says later that it has failed.
REFUSED = {code: f"4917139200{number}" for number, code in enumerate(ERRORS, 10)}
FAILING = {code: f"4917604069{number:03}" for number, code in enumerate(ERRORS, 10)}


def find_code(numbers: dict[int, str], phone: str) -> int | None:
    return next((code for code, number in numbers.items() if number == phone), None)


def build_error(code: int, details: str = "") -> dict[str, object]:
    _status, title = ERRORS[code]
    return {
        "message": f"(#{code}) {title}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details or title},
        "fbtrace_id": "AMock",
    }


def build_status_error(code: int) -> dict[str, object]:
    title = ERRORS[code][1]
    return {"code": code, "title": title, "message": title, "error_data": {"details": title}}
