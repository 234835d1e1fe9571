# The plain image is the last stage, so it is what `docker build -t mydocker .` makes. BuildKit, Docker's default
# since version 23, builds no stage that is not asked for; before that, set DOCKER_BUILDKIT=1.

FROM python:3-slim AS plain
WORKDIR /opt/mydocker
# the dependencies alone first: this layer stays cached until pyproject.toml changes
COPY pyproject.toml ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt \
    && pip install --no-cache-dir --root-user-action=ignore -r requirements.txt
COPY LICENSE README.md ./
COPY docs/mydocker.1 docs/
COPY mydocker mydocker
RUN pip install --no-cache-dir --root-user-action=ignore --no-deps .
ENTRYPOINT ["mydocker"]

# docker build --target tester -t mydocker-tester .
FROM plain AS tester
ARG DOCKER_EXPLORER=v18
ADD --chmod=755 https://github.com/codecrafters-io/docker-explorer/releases/download/${DOCKER_EXPLORER}/${DOCKER_EXPLORER}_linux_amd64 \
    /usr/local/bin/docker-explorer

FROM plain
