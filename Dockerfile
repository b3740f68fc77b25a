FROM debian:12
COPY scripts/setup.sh scripts/packages.txt /src/scripts/
RUN /src/scripts/setup.sh && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN cd /src && cmake --preset release && cmake --build --preset release && cmake --install build --prefix /usr/local
WORKDIR /work
ENTRYPOINT ["heapmark"]
CMD ["run", "quick"]
