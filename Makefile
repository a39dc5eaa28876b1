# Every command for people; plain `make` lists them. PYTHON is the interpreter for .venv.

PYTHON ?= python3
BIN := .venv/bin
COMPOSE_FILES := docker-compose.yml docker-compose.dev.yml docker-compose.prod.yml
# Compose requires the secrets even to read a file; the values are not used.
ANY_SECRETS := SECRET_KEY=none POSTGRES_PASSWORD=none REDIS_PASSWORD=none DOMAIN=localhost
WITHIN := $(BIN)/python -m config.local.within

.DEFAULT_GOAL := help

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9%-]+:.*## / { sub("%", "NAME", $$1); printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run it

.PHONY: run manage demo
run: .venv ## everything on http://127.0.0.1:8000/ (PORT=8001, DEMO=0); Ctrl-C stops it
	@exec $(BIN)/python -m config.local.run

manage: .venv ## a management command: make manage ARGS="import_customers FILE"
	@exec $(WITHIN) $(BIN)/python manage.py $(ARGS)

demo: .venv ## add generated customers, to try large data: make demo CUSTOMERS=100000
	@exec $(WITHIN) sh -c '$(BIN)/python manage.py migrate --noinput -v0 \
	  && exec $(BIN)/python -m bench.demo "$(or $(CUSTOMERS),10000)"'

##@ Work on it

.PHONY: test e2e e2e-full lint lint-settings format messages schema
test: .venv ## tests, on every core (ARGS="-k import" passes through)
	@exec $(BIN)/python -m pytest -n auto $(ARGS)

# Two files in parallel for tests that mostly wait for programs. The others measure, or use a browser, which aborts a
# page when the engine adds a network.
PATIENT := e2e/backups e2e/certificates e2e/front_door e2e/test_api_fuzz.py e2e/test_deploy_failures.py e2e/test_health_checks.py
e2e: MARKS := not full
e2e: ## tests from outside: make run, the containers, a real browser (needs Docker and Chromium; CHROMIUM=path)
	@$(PYTHON) config/local/bootstrap.py requirements/e2e.txt
	@# 5: no test was selected.
	@$(BIN)/python -m pytest $(PATIENT) -m "$(MARKS)" -n 2 --dist loadfile $(ARGS) || [ $$? -eq 5 ]
	@exec $(BIN)/python -m pytest e2e $(PATIENT:%=--ignore %) -m "$(MARKS)" $(ARGS)

e2e-full: ## all of them, more than an hour: every step of every failure, long loads, a restart of the engine
	@$(MAKE) --no-print-directory e2e MARKS=

lint: .venv ## style, types, layers, migrations, shell scripts, Dockerfile, compose files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	git ls-files -z '*.sh' .ci/run | xargs -0 $(BIN)/shellcheck
	$(BIN)/hadolint docker/django/Dockerfile docker/backup/Dockerfile nginx/Dockerfile certbot/Dockerfile
	$(BIN)/compose-lint check -q --skip-suppressed --fail-on low --config docker/compose/compose-lint.yml docker-compose.yml docker-compose.prod.yml
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
	  --ignore .venv --ignore .local --ignore tests && exec $(BIN)/python manage.py compilemessages -v0 --ignore .venv --ignore .local'

schema: .venv ## update docs/openapi.yaml (BREAKING=1 allows changes that break API clients)
	@exec $(WITHIN) --scratch $(BIN)/python -m config.checks.schema

bench-%: ## run the benchmark bench/NAME.py on temporary engines
	@$(PYTHON) config/local/bootstrap.py requirements/e2e.txt # bench/api_peers.py measures django-ninja.
	@exec $(WITHIN) --scratch $(BIN)/python -m bench.$(subst -,_,$*)

##@ Run it in containers

.PHONY: doctor secrets build up down logs superuser dev-build dev-up dev-down dev-logs dev-shell dev-test dev-migrate dev-superuser dev-restore
# The owner of files that the dev tier creates, and the revision in the image's labels.
export HOST_UID := $(shell id -u)
export HOST_GID := $(shell id -g)
export REVISION := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
DEV := docker compose -f docker-compose.dev.yml
# In a pipe or in CI there is no terminal to attach.
TTY := $(shell [ -t 0 ] || echo -T)

doctor: ## check what containers need on this machine; changes nothing
	@$(PYTHON) -m deploy.doctor docker-compose.yml docker-compose.dev.yml
	@echo "All requirements met. Next: make up, or make dev-up"

secrets:
	@$(PYTHON) -m deploy.secrets .env SECRET_KEY POSTGRES_PASSWORD

build: secrets ## build the image of the basic tier
	@docker compose build
	@echo "Built. Next: make up"

up: secrets ## PostgreSQL, Redis and Gunicorn on http://127.0.0.1:8000/
	@docker compose up --build --detach --wait
	@echo "Exhibition CRM is at http://127.0.0.1:$${WEB_PORT:-8000}/. First administrator: make superuser"

down: ## stop them; the data stays
	@docker compose down
	@echo "Stopped. The data stays in volumes; make up continues with it."

logs: ## follow their logs
	@docker compose logs --follow

superuser: ## add an administrator
	@docker compose exec $(TTY) web python manage.py createsuperuser

dev-build: ## build the image of the dev tier
	@$(DEV) build
	@echo "Built. Next: make dev-up"

dev-up: ## live code on :8000, Adminer on :8080, PostgreSQL on :5433, Redis on :6379
	@$(DEV) up --build --detach --wait
	@echo "http://127.0.0.1:$${DEV_WEB_PORT:-8000}/ serves this checkout, http://127.0.0.1:$${DEV_ADMINER_PORT:-8080}/ its database. First user: make dev-superuser"

dev-down: ## stop them; the data stays
	@$(DEV) down
	@echo "Stopped. The data stays in volumes; make dev-up continues with it."

dev-logs: ## follow their logs, including e-mails
	@$(DEV) logs --follow

dev-shell: ## a shell in the web container
	@$(DEV) exec $(TTY) web bash

dev-test: ## run the tests in the container (ARGS="-k import")
	@$(DEV) exec $(TTY) web python -m pytest $(or $(ARGS),core_apps customers config/tests config/checks)

dev-migrate: ## make and apply migrations
	@$(DEV) exec $(TTY) web sh -c "python manage.py makemigrations && python manage.py migrate"

dev-superuser: ## add an administrator
	@$(DEV) exec $(TTY) web python manage.py createsuperuser

dev-restore: ## load a prod backup with personal data replaced: make dev-restore BACKUP=directory (IDENTITY=, FORCE=1)
	@FORCE=$(FORCE) COMPOSE="$(DEV)" $(PYTHON) -m deploy.dev_restore "$(BACKUP)" "$(IDENTITY)"

##@ Run it on a server

.PHONY: prod-init prod-doctor prod-env prod-build prod-up prod-deploy prod-rollback prod-scale
.PHONY: prod-restore prod-restore-to prod-restore-drill prod-pg-upgrade
.PHONY: prod-down prod-logs prod-status prod-certificate prod-backup prod-backups prod-shell prod-exec prod-psql prod-superuser
PROD_ENV := .envs/.env.production
PROD := docker compose --env-file $(PROD_ENV) -f docker-compose.prod.yml
IN_BACKUP = $(PROD) exec -T backup python3 -m backup
DEPLOY = COMPOSE="$(PROD)" $(PYTHON) -m deploy.deploy

prod-init: ## set the domain and generate secrets: make prod-init DOMAIN=crm.my.org LETSENCRYPT_EMAIL=me@my.org
	@$(PYTHON) -m deploy.init $(PROD_ENV) "$(DOMAIN)" "$(LETSENCRYPT_EMAIL)"

prod-doctor: ## check what the prod tier needs on this server; changes nothing
	@$(PYTHON) -m deploy.doctor docker-compose.prod.yml
	@echo "All requirements met. Next: make prod-init, then make prod-up"

# Without prod-init: for localhost, with a self-signed certificate.
prod-env:
	@$(PYTHON) -m deploy.init $(PROD_ENV)

prod-build: prod-env ## build the images of this checkout
	@$(DEPLOY) build "$(VERSION)"
	@echo "Built. Next: make prod-up, or make prod-deploy where the tier runs"

prod-up: prod-env ## nginx with TLS on :80 and :443, certbot, Gunicorn, PostgreSQL, Redis
	@$(DEPLOY) prepare "$(VERSION)"
	@$(PROD) build nginx certbot backup
	@$(PROD) run --rm --no-deps $(TTY) nginx nginx -t -q
	@$(PROD) up --detach --wait || { $(MAKE) --no-print-directory prod-status; exit 1; }
	@$(MAKE) --no-print-directory prod-status
	@echo "First administrator: make prod-superuser"

prod-deploy: prod-env ## deploy this checkout without losing a request (VERSION= of an image)
	@$(DEPLOY) deploy "$(VERSION)"

prod-rollback: prod-env ## return to the previous version (VERSION= an older one, FORCE=1 despite a breaking migration)
	@FORCE=$(FORCE) $(DEPLOY) rollback "$(VERSION)"

prod-scale: prod-env ## set the number of web containers: make prod-scale WEB=2
	@$(DEPLOY) scale "$(WEB)"

prod-down: ## stop them; the data stays
	@$(PROD) down
	@echo "Stopped. The data stays in volumes; make prod-up continues with it."

prod-logs: ## follow their logs
	@$(PROD) logs --follow

prod-status: ## show the containers, deploys, the served certificate and the newest backup
	@$(PROD) ps --all --format 'table {{.Service}}\t{{.Status}}\t{{.Ports}}'
	@$(DEPLOY) history
	@$(PROD) exec -T certbot python /opt/certbot/served_certificate.py status
	@$(IN_BACKUP) status

prod-certificate: ## request the certificate now, even after a failure
	@$(PROD) kill --signal HUP certbot
	@echo "Requested. make prod-status shows the certificate, make prod-logs the reason if there is none."

prod-restore: prod-env ## restore a backup: make prod-restore BACKUP=… (IDENTITY=file of the key, FORCE=1 does not ask)
	@FORCE=$(FORCE) SAFETY=$(or $(SAFETY),1) COMPOSE="$(PROD)" $(PYTHON) -m deploy.restore "$(BACKUP)" "$(IDENTITY)"

prod-restore-to: prod-env ## restore a point in time: make prod-restore-to TIME="2026-11-22 14:03:00+01:00" (COMPOSE_PROFILES=pitr; IDENTITY=, FORCE=1)
	@name=$$($(PROD) exec -T barman python3 -m backup recover "$(TIME)" < $(or $(IDENTITY),/dev/null)) \
	  && $(MAKE) --no-print-directory prod-restore BACKUP=$$name

prod-pg-upgrade: prod-env ## upgrade PostgreSQL into a new volume: make prod-pg-upgrade MAJOR=18 (IDENTITY=)
	@COMPOSE="$(PROD)" $(PYTHON) -m deploy.pg_upgrade "$(MAJOR)" "$(IDENTITY)"

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

##@ Look after it

.PHONY: lock rename clean .venv
# Universal: one lock file for every supported Python and platform.
COMPILE = ../.local/lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --emit-build-options \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: .local/lock/bin/uv ## requirements/*.txt from *.in (UPGRADE=1 takes newer versions)
	@cd requirements && for name in base production local e2e; do $(COMPILE) $$name.in -o $$name.txt || exit; done
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
