# stepnav, serving: `docker build -t stepnav .`, then `docker run -p 8080:8080 stepnav`.
FROM python:3.12-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir built .

FROM python:3.12-slim
ARG EXTRAS=serve,local,bench
# Where torch comes from: without CUDA here, since models on GPUs are vLLM's (compose.yaml).
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /install
COPY --from=wheel /source/built ./
COPY constraints.txt ./
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN PIP_INDEX_URL="$TORCH_INDEX" pip install --no-cache-dir --no-deps -c constraints.txt torch \
 && pip install --no-cache-dir -c constraints.txt "$(echo ./*.whl)[$EXTRAS]" \
 && useradd --create-home --uid 1000 stepnav \
 && install -d -o stepnav /home/stepnav/traces
USER 1000
WORKDIR /home/stepnav
EXPOSE 8080
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health')"]
ENTRYPOINT ["stepnav"]
CMD ["serve", "--host", "0.0.0.0"]
