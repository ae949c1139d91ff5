# All images: docker buildx bake -f docker/docker-bake.hcl [TARGET …]
#
#   default   the stack's images for this machine
#   arm64     the same for linux/arm64, tagged latest-arm64 too; the builder is not emulated
#   release   both architectures under one tag, with software bill of materials and provenance

variable "REGISTRY" { default = "" }        # ends in a slash, if any
variable "TAG" { default = "latest" }
variable "VERSION" { default = "dev" }
variable "REVISION" { default = "unknown" }
variable "SOURCE_DATE_EPOCH" { default = "0" }
variable "BUILDER_IMAGE" { default = "python:3.13-slim-trixie" }
variable "RUNTIME_IMAGE" { default = "gcr.io/distroless/python3-debian13:nonroot" }
variable "PIP_CA_FILE" { default = "/dev/null" }

variable "NAMES" {
  default = [
    "tron-client", "payout-router", "wallet-manager", "usdt-manager", "trx-staking",
    "payment-gateway", "operator", "devnet", "egress-proxy", "tor",
  ]
}

group "default" { targets = ["image"] }

target "common" {
  context = "."
  args = {
    BUILDER_IMAGE     = BUILDER_IMAGE
    RUNTIME_IMAGE     = RUNTIME_IMAGE
    VERSION           = VERSION
    REVISION          = REVISION
    SOURCE_DATE_EPOCH = SOURCE_DATE_EPOCH
  }
  secret = ["id=pip_ca,src=${PIP_CA_FILE}"]
}

target "image" {
  inherits   = ["common"]
  attest     = ["type=provenance,disabled=true"]
  matrix     = { name = NAMES }
  name       = name
  dockerfile = "docker/${name}/Dockerfile"
  tags = [
    "${REGISTRY}pickme/lucid-${name}:${VERSION}",
    "${REGISTRY}pickme/lucid-${name}:${TAG}",
  ]
}

target "arm64" {
  inherits   = ["common"]
  attest     = ["type=provenance,disabled=true"]
  matrix     = { name = NAMES }
  name       = "${name}-arm64"
  dockerfile = "docker/${name}/Dockerfile"
  platforms  = ["linux/arm64"]
  tags = [
    "${REGISTRY}pickme/lucid-${name}:${VERSION}-arm64",
    "${REGISTRY}pickme/lucid-${name}:${TAG}-arm64",
  ]
}

target "release" {
  inherits   = ["common"]
  matrix     = { name = NAMES }
  name       = "${name}-release"
  dockerfile = "docker/${name}/Dockerfile"
  platforms  = ["linux/amd64", "linux/arm64"]
  attest     = ["type=sbom", "type=provenance,mode=max"]
  tags = [
    "${REGISTRY}pickme/lucid-${name}:${VERSION}",
    "${REGISTRY}pickme/lucid-${name}:${TAG}",
  ]
}
