# Every command for people; plain `make` lists them. PYTHON is the interpreter for .venv.

PYTHON ?= python3
BIN := .venv/bin
COMPOSE_FILES := docker-compose.yml docker-compose.dev.yml docker-compose.prod.yml docker-compose.caddy.yml docker-compose.staging.yml docker-compose.observability.yml
# Compose requires the secrets even to read a file; the values are not used.
ANY_SECRETS := SECRET_KEY=none POSTGRES_PASSWORD=none POSTGRES_APP_PASSWORD=none POSTGRES_BACKUP_PASSWORD=none \
	POSTGRES_METRICS_PASSWORD=none REDIS_PASSWORD=none GRAFANA_PASSWORD=none DOMAIN=localhost
WITHIN := $(BIN)/python -m config.local.within

.DEFAULT_GOAL := help

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9%-]+:.*## / { sub("%", "NAME", $$1); printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run it

.PHONY: run manage import demo
run: .venv ## everything on http://127.0.0.1:8000/ (PORT=8002, DEMO=0); Ctrl-C stops it
	@exec $(BIN)/python -m config.local.run

manage: .venv ## a management command: make manage ARGS="import_customers FILE"
	@exec $(WITHIN) $(BIN)/python manage.py $(ARGS)

import: $(if $(TIER),,.venv) ## import a file: make import FILE=contacts.csv (ARGS=--dry-run; KIND=companies; TIER=basic, dev or prod)
	@$(if $(TIER),COMPOSE="$(or $(COMPOSE_$(TIER)),$(error TIER is basic, dev or prod))" $(PYTHON) -m deploy.import_file \
	  $(or $(KIND),customers),exec $(WITHIN) $(BIN)/python manage.py import_$(or $(KIND),customers)) "$(FILE)" $(ARGS)

demo: $(if $(TIER),,.venv) ## add generated customers, to try large data: make demo CUSTOMERS=100000 (TIER=basic, dev or prod: the small demo)
	@$(if $(TIER),$(or $(COMPOSE_$(TIER)),$(error TIER is basic, dev or prod)) exec $(TTY) web python manage.py load_demo,exec \
	  $(WITHIN) sh -c '$(BIN)/python manage.py migrate --noinput -v0 && exec $(BIN)/python -m bench.demo "$(or $(CUSTOMERS),10000)"')

##@ Work on it

.PHONY: test e2e e2e-full lint lint-settings format messages schema
test: .venv ## tests, on every core (ARGS="-k import" passes through)
	@exec $(BIN)/python -m pytest -n auto -m "not full" $(ARGS)

# Two files in parallel for tests that mostly wait for programs. The others measure, or use a browser, which aborts a
# page when the engine adds a network.
PATIENT := e2e/backups e2e/certificates e2e/front_door e2e/observability
PATIENT += $(addprefix e2e/test_,$(addsuffix .py,api_fuzz deploy_failures health_checks prod_init proofs rename))
e2e: MARKS := not full
e2e: .local/manifests/created ## tests from outside: make run, the containers, a real browser (needs Docker and Chromium; CHROMIUM=path)
	@$(PYTHON) config/local/bootstrap.py requirements/e2e.txt
	@# 5: no test was selected.
	@$(BIN)/python -m pytest $(PATIENT) -m "$(MARKS)" -n 2 --dist loadfile $(ARGS) || [ $$? -eq 5 ]
	@exec $(BIN)/python -m pytest e2e $(PATIENT:%=--ignore %) -m "$(MARKS)" $(ARGS)

e2e-full: ## all of them, for hours: every step of every failure, long loads, a restart of the engine
	@$(MAKE) --no-print-directory test ARGS="-m full"
	@$(MAKE) --no-print-directory e2e MARKS=

lint: .venv ## style, types, layers, migrations, shell scripts, Dockerfile, compose files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	git ls-files -z '*.sh' .ci/run | xargs -0 $(BIN)/shellcheck
	$(BIN)/hadolint docker/django/Dockerfile docker/backup/Dockerfile docker/rsyslog/Dockerfile nginx/Dockerfile caddy/Dockerfile certbot/Dockerfile
	$(BIN)/compose-lint check -q --skip-suppressed --fail-on low --config docker/compose/compose-lint.yml docker-compose.yml docker-compose.prod.yml docker-compose.caddy.yml docker-compose.observability.yml
	$(BIN)/compose-lint check -q --skip-suppressed --fail-on low --config docker/compose/compose-lint.dev.yml docker-compose.dev.yml
	@if docker compose version >/dev/null 2>&1; \
	  then for file in $(COMPOSE_FILES); do $(ANY_SECRETS) docker compose -f $$file config -q || exit; done; \
	  else echo "Docker Compose is not installed: only compose-lint checked the files."; fi
	$(WITHIN) --scratch $(MAKE) --no-print-directory lint-settings

# Checks that need settings or the database, in one start of the engines.
lint-settings:
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run
	@LOG_LEVEL=WARNING $(BIN)/python -m config.checks.lint_migrations
	@$(BIN)/python -m config.checks.schema --check

format: .venv ## format the code, and fix what ruff can
	$(BIN)/ruff check --fix --exit-zero --quiet
	$(BIN)/ruff format
	$(BIN)/ruff check

messages: .venv ## update and compile the German catalogues (needs gettext)
	@exec $(WITHIN) --scratch sh -c '$(BIN)/python manage.py makemessages --locale de --add-location file --no-obsolete \
	  --ignore .venv --ignore .local --ignore tests --ignore config && exec $(BIN)/python manage.py compilemessages -v0 --ignore .venv --ignore .local'
	@# The date of each run would be a change, and a conflict of merges.
	@git ls-files '*.po' | xargs sed -i.old '/^"POT-Creation-Date/d' && git ls-files '*.po' | sed 's/$$/.old/' | xargs rm -f

schema: .venv ## update docs/openapi.yaml (BREAKING=1 allows changes that break API clients)
	@exec $(WITHIN) --scratch $(BIN)/python -m config.checks.schema

bench-%: ## run the benchmark bench/NAME.py on temporary engines
	@$(PYTHON) config/local/bootstrap.py requirements/e2e.txt # bench/api_peers.py measures django-ninja.
	@exec $(WITHIN) --scratch $(BIN)/python -m bench.$(subst -,_,$*)

##@ Run it in containers

.PHONY: doctor secrets build up down logs superuser dev-build dev-up dev-down dev-logs dev-attach dev-shell dev-test dev-migrate dev-superuser dev-restore
# The owner of files that the dev tier creates, and the revision in the image's labels.
export HOST_UID := $(shell id -u)
export HOST_GID := $(shell id -g)
export REVISION := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
DEV := docker compose -f docker-compose.dev.yml
# By TIER, for `make import`.
COMPOSE_basic = docker compose
COMPOSE_dev = $(DEV)
COMPOSE_prod = $(PROD)
# In a pipe or in CI there is no terminal to attach.
TTY := $(shell [ -t 0 ] || echo -T)

doctor: ## check what containers need on this machine; changes nothing
	@$(PYTHON) -m deploy.doctor docker-compose.yml docker-compose.dev.yml
	@echo "All requirements met. Next: make up, or make dev-up"

secrets:
	@$(PYTHON) -m deploy.secrets .env SECRET_KEY POSTGRES_PASSWORD POSTGRES_APP_PASSWORD

build: secrets ## build the image of the basic tier
	@docker compose build web celery-worker
	@echo "Built. Next: make up"

up: secrets ## PostgreSQL, Redis and Gunicorn on http://127.0.0.1:8000/
	@docker compose build web celery-worker
	@COMPOSE="docker compose" $(PYTHON) -m deploy.start
	@echo "Exhibition CRM is at http://127.0.0.1:$${WEB_PORT:-8000}/. First administrator: make superuser"

down: TIER = basic
down: ## stop them; the data stays
	@docker compose down
	@$(SAY_IF_WATCHED)
	@echo "Stopped. The data stays in volumes; make up continues with it."

logs: ## follow their logs
	@docker compose logs --follow

superuser: ## add an administrator
	@docker compose exec $(TTY) web python manage.py createsuperuser

dev-build: ## build the image of the dev tier
	@$(DEV) build web
	@echo "Built. Next: make dev-up"

dev-up: secrets ## live code on :8000, WhatsApp mock on :8001, Adminer on :8080, PostgreSQL on :5433, Redis on :6379
	@$(DEV) build web
	@COMPOSE="$(DEV)" $(PYTHON) -m deploy.start
	@echo "http://127.0.0.1:$${DEV_WEB_PORT:-8000}/ serves this checkout, http://127.0.0.1:$${DEV_ADMINER_PORT:-8080}/ its database. First user: make dev-superuser"

dev-down: ## stop them; the data stays
	@$(DEV) down
	@echo "Stopped. The data stays in volumes; make dev-up continues with it."

dev-logs: ## follow their logs, including e-mails
	@$(DEV) logs --follow

dev-attach: ## the terminal of web, for breakpoint(); Ctrl-P Ctrl-Q leaves it
	@docker attach $$($(DEV) ps -q web)

dev-shell: ## a shell in the web container
	@$(DEV) exec $(TTY) web bash

dev-test: ## run the tests in the container (ARGS="-k import")
	@$(DEV) exec $(TTY) web python -m pytest $(or $(ARGS),core_apps customers config/tests config/checks)

dev-migrate: ## make and apply migrations
	@$(DEV) exec $(TTY) web sh -c "python manage.py makemigrations && python manage.py migrate"

dev-superuser: ## add an administrator
	@$(DEV) exec $(TTY) web python manage.py createsuperuser

dev-restore: ## load a prod backup with personal data replaced: make dev-restore BACKUP=directory (IDENTITY=, FORCE=1)
	@FORCE=$(FORCE) COMPOSE="$(DEV)" $(PYTHON) -m deploy.refresh "$(BACKUP)" "$(IDENTITY)"

##@ Run it on a server

.PHONY: prod-init prod-doctor prod-env prod-build prod-up prod-deploy prod-rollback prod-scale
.PHONY: prod-restore prod-restore-to prod-restore-drill prod-pg-upgrade
.PHONY: prod-down prod-logs prod-status prod-queues prod-certificate prod-backup prod-backups prod-shell prod-exec prod-psql prod-superuser
# How the commands below begin, for messages too: prod, caddy or staging.
COMMANDS := prod
PROD_ENV := .envs/.env.production
PROD_FILE = docker-compose.$(COMMANDS).yml
# COMPOSE_FILE in the env file names further files, such as docker/compose/managed.yml.
NAMES_FILES := grep -qs '^COMPOSE_FILE=.' $(PROD_ENV)
PROD := docker compose --env-file $(PROD_ENV) $(if $(shell $(NAMES_FILES) && echo yes),,-f $(PROD_FILE))
FRONT := nginx certbot
CHECK_FRONT := nginx nginx -t -q
RENEW := HUP certbot
CERTIFICATE_STATUS := certbot python /opt/certbot/served_certificate.py status
IN_BACKUP = $(PROD) exec -T backup python3 -m backup
DEPLOY = ENV_FILE=$(PROD_ENV) COMPOSE="$(PROD)" $(PYTHON) -m deploy.deploy
OBS = docker compose --env-file $(if $(filter basic,$(TIER)),.env,$(PROD_ENV)) -f docker-compose.observability.yml \
	$(if $(filter basic,$(TIER)),-f docker/compose/observability.basic.yml)
# It watches the prod tier, not staging.
IS_WATCHED = [ $(COMMANDS) != staging ] && [ -n "$$($(OBS) ps --quiet alertmanager 2>/dev/null)" ]
SAY_IF_WATCHED = ! { $(IS_WATCHED); } || echo "Prometheus still watches it, in its networks: make obs-down$(TIER:%= TIER=%)"
AMTOOL = $(OBS) exec -T alertmanager amtool --alertmanager.url=http://localhost:9093

prod-init: ## set the domain and generate secrets: make prod-init DOMAIN=crm.my.org LETSENCRYPT_EMAIL=me@my.org
	@$(PYTHON) -m deploy.init $(PROD_ENV) "$(DOMAIN)" "$(LETSENCRYPT_EMAIL)"

prod-doctor: ## check what the prod tier needs on this server; changes nothing
	@ENV_FILE=$(PROD_ENV) $(PYTHON) -m deploy.doctor $(PROD_FILE)
	@echo "All requirements met. Next: make $(COMMANDS)-init, then make $(COMMANDS)-up"

# Without prod-init: for localhost, with a self-signed certificate.
prod-env:
	@$(PYTHON) -m deploy.init $(PROD_ENV)

prod-build: prod-env ## build the images of this checkout
	@$(DEPLOY) build "$(VERSION)"
	@echo "Built. Next: make $(COMMANDS)-up, or make $(COMMANDS)-deploy where the tier runs"

prod-up: prod-env ## nginx with TLS on :80 and :443, certbot, Gunicorn, PostgreSQL, Redis
	@$(DEPLOY) prepare "$(VERSION)"
	@$(PROD) build $(FRONT) backup
	@$(PROD) run --rm --no-deps $(TTY) $(CHECK_FRONT)
	@COMPOSE="$(PROD)" $(PYTHON) -m deploy.start || { $(MAKE) --no-print-directory prod-status; exit 1; }
	@$(MAKE) --no-print-directory prod-status
	@echo "First administrator: make $(COMMANDS)-superuser"

prod-deploy: prod-env ## deploy this checkout without losing a request (VERSION= of an image, or @sha256:… of a signed release)
	@$(DEPLOY) deploy "$(VERSION)"

prod-rollback: prod-env ## return to the previous version (VERSION= an older one, FORCE=1 despite a breaking migration)
	@FORCE=$(FORCE) $(DEPLOY) rollback "$(VERSION)"

prod-scale: prod-env ## set the number of containers: make prod-scale WEB=2 WORKER=4 (either may be missing)
	@$(DEPLOY) scale "$(WEB)" "$(WORKER)"

prod-down: ## stop them; the data stays
	@$(PROD) down
	@$(SAY_IF_WATCHED)
	@echo "Stopped. The data stays in volumes; make $(COMMANDS)-up continues with it."

prod-logs: ## follow their logs
	@$(PROD) logs --follow

prod-status: ## show the containers, deploys, the served certificate and the newest backup
	@$(PROD) ps --all --format 'table {{.Service}}\t{{.Status}}\t{{.Ports}}'
	@$(DEPLOY) history
	@$(PROD) exec -T $(CERTIFICATE_STATUS)
	@$(IN_BACKUP) status
	@! { $(IS_WATCHED); } || $(AMTOOL) alert query

prod-queues: ## show how many background tasks are due, since when, and how many have failed
	@$(PROD) exec $(TTY) web python manage.py task_queues

prod-certificate: ## request the certificate now, even after a failure
	@$(PROD) kill --signal $(RENEW)
	@echo "Requested. make $(COMMANDS)-status shows the certificate, make $(COMMANDS)-logs the reason if there is none."

prod-restore: prod-env ## restore a backup: make prod-restore BACKUP=… (IDENTITY=file of the key, FORCE=1 does not ask)
	@FORCE=$(FORCE) SAFETY=$(or $(SAFETY),1) ENV_FILE=$(PROD_ENV) COMPOSE="$(PROD)" $(PYTHON) -m deploy.restore "$(BACKUP)" "$(IDENTITY)"

prod-restore-to: prod-env ## restore a point in time: make prod-restore-to TIME="2026-11-22 14:03:00+01:00" (COMPOSE_PROFILES=pitr; IDENTITY=, FORCE=1)
	@name=$$($(PROD) exec -T barman python3 -m backup recover "$(TIME)" < $(or $(IDENTITY),/dev/null)) \
	  && $(MAKE) --no-print-directory prod-restore BACKUP=$$name

prod-pg-upgrade: prod-env ## upgrade PostgreSQL into a new volume: make prod-pg-upgrade MAJOR=18 (IDENTITY=)
	@ENV_FILE=$(PROD_ENV) COMPOSE="$(PROD)" $(PYTHON) -m deploy.pg_upgrade "$(MAJOR)" "$(IDENTITY)"

prod-restore-drill: ## test the newest backup: restore it on a scratch server, compare it, log in (IDENTITY=file of the key)
	@$(IN_BACKUP) drill < $(or $(IDENTITY),/dev/null)

prod-backup: ## take a backup now
	@$(IN_BACKUP) take

prod-backups: ## list backups with age, size, verified, encrypted, off-site
	@$(IN_BACKUP) list

prod-shell: ## a shell in the web container
	@$(PROD) exec $(TTY) web sh

prod-exec: ## run a command in a container: make prod-exec ARGS="python manage.py check" (SERVICE=web)
	@$(PROD) exec $(TTY) $(or $(SERVICE),web) $(ARGS)

prod-psql: ## open psql (ARGS="-c 'SELECT version()'")
	@$(PROD) exec $(TTY) db psql -U exhibition $(ARGS)

prod-superuser: ## add an administrator
	@$(PROD) exec $(TTY) web python manage.py createsuperuser

##@ Use Caddy instead of nginx

# USR1 reads the Caddyfile again, and tries again to obtain the certificate.
CADDY := COMMANDS=caddy FRONT=caddy RENEW="USR1 caddy" \
	CHECK_FRONT="caddy caddy validate --config /etc/caddy/Caddyfile" CERTIFICATE_STATUS="caddy certificate.sh"

caddy-%: ## the commands above with Caddy in front: make caddy-up, caddy-deploy, caddy-status, …
	@! grep -s '^COMPOSE_FILE=.' $(PROD_ENV) | grep -qv =docker-compose.caddy.yml \
	  || { echo "COMPOSE_FILE in $(PROD_ENV) does not begin with docker-compose.caddy.yml."; exit 1; }
	@$(MAKE) --no-print-directory prod-$* $(CADDY)

##@ Try a version on staging

STAGING_ENV := .envs/staging/.env
STAGING := COMMANDS=staging PROD_ENV=$(STAGING_ENV)
.PHONY: staging-env staging-refresh

staging-%: staging-env ## the commands above for staging: make staging-up, staging-deploy, staging-status, staging-superuser, …
	@$(MAKE) --no-print-directory prod-$* $(STAGING)

staging-env:
	@$(MAKE) --no-print-directory prod-env $(STAGING)
	@$(PYTHON) -m deploy.secrets $(STAGING_ENV) SITE_PASSWORD

staging-refresh: staging-env ## give it the newest backup of prod, with personal data replaced (BACKUP=directory, IDENTITY=, FORCE=1)
	@FORCE=$(FORCE) PROD="$(PROD)" COMPOSE="docker compose --env-file $(STAGING_ENV) -f docker-compose.staging.yml" \
	  $(PYTHON) -m deploy.refresh "$(BACKUP)" "$(IDENTITY)"

##@ Release it

.PHONY: release
PLATFORMS ?= linux/amd64,linux/arm64

release: ## build and push images, and print their digest: make release VERSION=1.2.0 IMAGE_REPOSITORY=ghcr.io/me/exhibition-crm
	@$(PYTHON) -m deploy.release "$(IMAGE_REPOSITORY)" "$(VERSION)" "$(PLATFORMS)"

##@ Run it on a cluster

.PHONY: swarm-render swarm-deploy k8s-secrets k8s-render k8s-check ecs-render ecs-check
OVERLAY ?= prod
OVERLAY_FOLDER = deploy/kubernetes/$(or $(filter prod staging local-db,$(OVERLAY)),$(error OVERLAY is prod, staging or local-db))
KUBECTL ?= kubectl

swarm-render: prod-env ## write the stack file for Docker Swarm to .local/swarm: make swarm-render VERSION=1.2.0
	@COMPOSE="$(PROD)" ENV_FILE=$(PROD_ENV) $(PYTHON) -m deploy.render_swarm .local/swarm "$(VERSION)"

swarm-deploy: swarm-render ## deploy it, migrations first, without losing a request (VERSION= a former one rolls back)
	@$(PYTHON) -m deploy.swarm .local/swarm/stack.json

k8s-secrets: ## generate the secrets of an overlay: make k8s-secrets OVERLAY=prod (staging, local-db)
	@$(PYTHON) -m deploy.secrets $(OVERLAY_FOLDER)/secret.env SECRET_KEY REDIS_PASSWORD POSTGRES_APP_PASSWORD
	@$(PYTHON) -m deploy.secrets $(OVERLAY_FOLDER)/backup.env PGPASSWORD

k8s-render: ## print its manifests for kubectl: make k8s-render OVERLAY=prod VERSION=1.2.0 | kubectl apply -f -
	@echo "$(VERSION)" | grep -Eqx '[a-z0-9]([a-z0-9.-]{0,48}[a-z0-9])?' \
	  || { echo "VERSION='$(VERSION)' is not a tag of small letters, digits, dots and hyphens, which is also part of a name" >&2; exit 1; }
	@for file in secret backup; do [ -f $(OVERLAY_FOLDER)/$$file.env ] \
	  || { echo "$(OVERLAY_FOLDER)/$$file.env is missing. make k8s-secrets OVERLAY=$(OVERLAY) generates it" >&2; exit 1; }; done
	@# For docker/postgres/roles.sql, which is not below the overlay.
	@manifests=$$($(KUBECTL) kustomize --load-restrictor LoadRestrictionsNone $(OVERLAY_FOLDER)) \
	  && printf '%s\n' "$$manifests" | sed -E 's/(:|migrate-)VERSION$$/\1$(VERSION)/'

k8s-check: .local/manifests/created ## check the manifests of all overlays
	@$(PYTHON) config/local/bootstrap.py requirements/e2e.txt
	@exec $(BIN)/python -m pytest e2e/kubernetes/test_manifests.py $(ARGS)

ecs-render: ## write task definitions for Amazon ECS to .local/ecs (DIGEST= and CERTIFICATES_DIGEST= of the images)
	@$(PYTHON) -m deploy.render_ecs .local/ecs "$(DIGEST)" "$(CERTIFICATES_DIGEST)"

ecs-check: .local/manifests/created ## check them
	@$(PYTHON) config/local/bootstrap.py requirements/e2e.txt
	@exec $(BIN)/python -m pytest e2e/ecs $(ARGS)

.local/manifests/created: requirements/manifests.txt
	@$(PYTHON) -m venv .local/manifests
	@.local/manifests/bin/pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

##@ Watch it

.PHONY: obs-up obs-down obs-status obs-silence basic-env

obs-up: $(or $(TIER),prod)-env ## Prometheus on http://127.0.0.1:9090/, alerts by ALERT_EMAIL and ALERT_WEBHOOK_URL; after make prod-up (TIER=basic: after make up)
	@$(OBS) up --detach || { echo "It needs the $(or $(TIER),prod) tier of this version: make $(if $(filter basic,$(TIER)),,prod-)up" >&2; exit 1; }
	@$(if $(filter basic,$(TIER)),,$(OBS) exec -T blackbox-exporter printenv MONITORING_TOKEN | $(PROD) exec -T web python manage.py create_monitoring_user)
	@echo "Prometheus is at http://127.0.0.1:9090/ of this server. Alerts: make obs-status"

# With the role of postgres-exporter.
basic-env: secrets
	@$(PYTHON) -m deploy.secrets .env POSTGRES_METRICS_PASSWORD GRAFANA_PASSWORD
	@docker compose run --rm --no-deps roles

obs-down: ## stop it; what was measured stays
	@$(OBS) down --remove-orphans
	@echo "Stopped. What was measured stays in volumes."

obs-status: ## show what is measured and which alerts fire
	@$(OBS) ps --all --format 'table {{.Service}}\t{{.Status}}\t{{.Ports}}'
	@$(AMTOOL) alert query

obs-silence: ## send no notification of an alert for some hours: make obs-silence ALERT=DiskFilling HOURS=2
	@$(AMTOOL) silence add --duration=$(or $(HOURS),2)h --author=make --comment=obs-silence alertname=$(or $(ALERT),$(error ALERT= names the alert))

##@ Look after it

.PHONY: lock rename clean .venv
# Universal: one lock file for every supported Python and platform.
COMPILE = ../.local/lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --emit-build-options \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: .local/lock/bin/uv ## requirements/*.txt from *.in (UPGRADE=1 takes newer versions)
	@cd requirements && for name in base production certificates local e2e manifests; do $(COMPILE) $$name.in -o $$name.txt || exit; done
	@cd certbot && $(COMPILE) requirements.in -o requirements.txt
	@cd docker/backup && $(COMPILE:../%=../../%) --no-deps requirements.in -o requirements.txt

.local/lock/bin/uv:
	@$(PYTHON) -m venv .local/lock
	@.local/lock/bin/pip install -q uv==0.13.9

rename: ## rename the product in your own clone: make rename NAME="Acme Leads" SLUG=acme-leads
	@$(PYTHON) config/rename.py "$(NAME)" "$(SLUG)"

clean: ## remove .venv and .local, the local database included (FORCE=1 does not ask)
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m config.local.clean; fi
	@rm -rf .venv .local

# Phony: a date does not tell whether it is usable; the script checks that quickly.
.venv:
	@$(PYTHON) config/local/bootstrap.py requirements/local.txt
