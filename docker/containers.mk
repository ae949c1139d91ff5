# What make does with containers; docker/README.md tells the rest.
DOCKER  ?= docker
COMPOSE  = $(DOCKER) compose
BAKE     = VERSION=$$(sed -n 's/^VERSION: Final = "\(.*\)"/\1/p' shared/version.py) \
	REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 0)} \
	$(DOCKER) buildx bake --file docker/docker-bake.hcl

.PHONY: images images-arm release up down logs smoke stack-demo containers

.env:
	@install -m 600 .env.example .env
	@echo "made .env from .env.example: the devnet, with play money"

images: ## build the stack's images for this machine
	@$(BAKE)

images-arm: ## build them for the Raspberry Pi (linux/arm64) on any machine
	@$(BAKE) arm64

release: ## build both architectures and push them to REGISTRY, with bills of materials
	@test -n "$(REGISTRY)" || { echo "say REGISTRY=host/"; exit 1; }
	@REGISTRY=$(REGISTRY) $(BAKE) release --push

up: .env ## keys and seed if there are none, then the whole stack in containers
	@$(COMPOSE) run --rm setup
	@$(COMPOSE) up --detach --wait

down: ## stop and remove the containers; the volumes with all data stay
	@$(COMPOSE) down

logs: ## follow what the containers say
	@$(COMPOSE) logs --follow --tail 100

smoke: ## ask the running containers whether they work
	@compose/smoke.sh

stack-demo: $(BIN)/.prod ## the demo against the running containers (devnet and debug overlays)
	@compose/demo.sh $(BIN)/python

containers: $(BIN)/.dev ## tests of images and stack with an engine of their own; needs root and Debian
	@$(BIN)/python -m pytest -m containers -rs tests/containers
