# The image of capim-controller-manager and of its workers: `docker build -t localhost/capim-manager:dev .`
# The target `debug` has debugpy as well, for Tilt: `docker build --target debug ...`.
# the version that the lock is made for
ARG PYTHON=3.11

FROM docker.io/library/python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements.lock ./
# the lock names what tests and tools need too; only what capim itself asks for is installed, at these versions
COPY capim capim
COPY coordinator coordinator
COPY workers workers
COPY crds crds
COPY deploy deploy
RUN python -m venv /opt/capim
RUN sed -e 's/ *\\$//' -e '/^ *--hash/d' requirements.lock > /tmp/constraints.txt
RUN /opt/capim/bin/pip install --constraint /tmp/constraints.txt .

FROM build AS build-debug
RUN /opt/capim/bin/pip install debugpy==1.8.*

FROM docker.io/library/python:${PYTHON}-slim AS runtime
ENV PATH=/opt/capim/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --chmod=0755 deploy/image/manager deploy/image/start.sh deploy/image/dlv /
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/manager"]

FROM runtime AS debug
COPY --from=build-debug /opt/capim /opt/capim

FROM runtime AS manager
COPY --from=build /opt/capim /opt/capim
