"""The tests of the front door that Caddy does not pass, by reason; docs/scaling.md tells users of each."""

EXCEPTIONS = {
    "Caddy has no limits of rates, nor of one address": [
        "test_login_is_limited_for_each_address_by_itself",
        "test_login_under_another_spelling_is_limited_too",
        "test_api_is_limited_but_not_its_probes",
        "test_too_many_attempts_are_refused_with_every_header",
        "test_limit_is_of_the_address_that_a_configured_proxy_names",
        "test_address_has_eight_uploads_at_once",
    ],
    "it is about a file or a folder of nginx": [
        "test_bodies_for_which_there_is_no_room_are_told_so",
        "test_linter_finds_nothing",
    ],
    "a body may take 75 s, silent or not": [
        "test_slow_clients_hurt_nobody[silent bodies]",
    ],
    "Caddy's log has fields of its own": [
        "test_line_is_one_object_whatever_the_client_sends",
        "test_every_line_is_an_object_with_time_in_utc",
    ],
    "the alert is internal_error": [
        "test_unknown_name_in_the_handshake_is_refused",
        "test_stranger_gets_no_handshake",
    ],
    "Caddy changes the keys of its tickets every twelve hours": [
        "test_session_is_resumed_from_the_cache_and_never_from_a_ticket",
    ],
    "Go refuses it before Caddy sees it, without headers and page": [
        "test_malformed_request_is_refused_with_every_header",
        "test_refusal_below_the_api_is_a_problem[two hosts]",
        "test_request_of_two_readings_hides_no_other[TE.TE, second unknown]",
        "test_request_of_two_readings_hides_no_other[TE of two codings]",
        "test_request_of_two_readings_hides_no_other[TE xchunked]",
    ],
    "Go takes # for a part of the path": [
        "test_fragment_that_no_browser_sends_is_not_logged",
    ],
    "Django answers TRACE": [
        "test_refusal_below_the_api_is_a_problem[trace]",
    ],
    "a client that sends on for half a second after an early answer does not see it": [
        "test_body_without_a_length_is_refused_at_the_limit",
        "test_body_of_the_limit_passes_and_a_byte_more_does_not",
    ],
    "Django may answer before the end of the body that it is given": [
        "test_body_without_a_length_of_a_stranger_is_cut_off",
    ],
    "Go prefers chunks to a length, as RFC 9112 section 6.3 permits": [
        "test_request_of_two_readings_hides_no_other[CL.TE]",
        "test_request_of_two_readings_hides_no_other[TE.CL]",
        "test_request_of_two_readings_hides_no_other[TE with a tab]",
        "test_request_of_two_readings_hides_no_other[TE folded]",
        "test_request_of_two_readings_hides_no_other[TE in HTTP/1.0]",
    ],
    "Go takes two equal lengths for one, as RFC 9112 section 6.3 permits": [
        "test_request_of_two_readings_hides_no_other[two equal lengths]",
    ],
    "chunks that are none are answered with 503": [
        "test_request_of_two_readings_hides_no_other[chunk extension with a bare LF]",
        "test_request_of_two_readings_hides_no_other[chunk of -1]",
        "test_request_of_two_readings_hides_no_other[chunk of 2^64 + 1]",
        "test_request_of_two_readings_hides_no_other[chunk of 0x1]",
        "test_request_of_two_readings_hides_no_other[chunk without its end]",
        "test_request_of_two_readings_hides_no_other[chunk longer than its size]",
        "test_attempts_leave_no_trouble",
    ],
    "a whole URL as the address prevails over Host, as RFC 9112 section 3.2.2 requires": [
        "test_stranger_does_not_reach_django[another host beside the address]",
    ],
    "a name with a final dot is another name": [
        "test_host_is_known_in_each_of_its_spellings[localhost.]",
    ],
}


def find_reason(test: str) -> str:
    """Return why Caddy does not pass it; blank if it must."""
    name, _, values = test.partition("[")
    value = values.removesuffix("]").removeprefix("caddy").strip("-")
    listed = {name, f"{name}[{value}]"}
    return next((reason for reason, tests in EXCEPTIONS.items() if listed & set(tests)), "")
