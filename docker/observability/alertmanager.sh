#!/bin/sh
# Writes Alertmanager's configuration from the env file's settings, and runs the given command.
#
# A blank receiver is that of the route above it: `none`.
set -eu
umask 077

printf '%s' "$EMAIL_HOST_PASSWORD" >/tmp/password
cat >/tmp/alertmanager.yml <<END
global:
  smtp_smarthost: "$EMAIL_HOST:$EMAIL_PORT"
  smtp_from: "${DEFAULT_FROM_EMAIL:-${ALERT_EMAIL:-nobody@localhost}}"
  smtp_auth_username: "$EMAIL_HOST_USER"
  smtp_auth_password_file: /tmp/password
  smtp_require_tls: $EMAIL_USE_TLS

route:
  receiver: none
  group_by: [alertname]
  group_wait: 5s
  group_interval: 15s
  repeat_interval: 24h
  routes:
    # While it arrives, the chain from the rules to the internet works; its receiver is to call when it stops.
    - matchers: [alertname="Watchdog"]
      receiver: "${ALERT_WATCHDOG_URL:+watchdog}"
      group_wait: 0s
      group_interval: 30s
      repeat_interval: 1m
    - matchers: [severity="page"]
      repeat_interval: 4h
      routes:
        - {receiver: "${ALERT_EMAIL:+email}", continue: true}
        - {receiver: "${ALERT_WEBHOOK_URL:+webhook}"}
    - matchers: [severity="ticket"]
      routes:
        - {receiver: "${ALERT_EMAIL:+email}", continue: true}
        - {receiver: "${ALERT_WEBHOOK_URL:+webhook}"}

# What follows from a fault is not told beside it.
inhibit_rules:
  - source_matchers: [alertname="DatabaseDown"]
    target_matchers: [alertname=~"WebDown|LoginPageDown|TokenRefused|Tasks.*|BeatDown|WorkerDown|WorkerMissing|CertificatesWorkerDown|DeliveriesFailing|ExporterDown"]
  - source_matchers: [alertname="WebDown"]
    target_matchers: [alertname=~"WebMissing|LoginPageDown|TokenRefused|ExporterDown"]
  - source_matchers: [alertname="LoginPageDown"]
    target_matchers: [alertname="ExporterDown", job="nginx"]
  - source_matchers: [alertname="WorkerDown"]
    target_matchers: [alertname=~"WorkerMissing|CertificatesWorkerDown|Tasks.*|BeatDown"]
  - source_matchers: [alertname="BrokerDown"]
    target_matchers: [alertname=~"BeatDown|ExporterDown"]
  - source_matchers: [alertname="Recovering"]
    target_matchers: [alertname=~"ServerErrors|SlowResponses"]

receivers:
  - name: none
  - name: email
    email_configs: [{to: "${ALERT_EMAIL:-nobody@localhost}", send_resolved: true}]
  - name: webhook
    webhook_configs: [{url: "${ALERT_WEBHOOK_URL:-http://localhost/}", send_resolved: true}]
  - name: watchdog
    webhook_configs: [{url: "${ALERT_WATCHDOG_URL:-http://localhost/}", send_resolved: false}]
END
exec "$@"
