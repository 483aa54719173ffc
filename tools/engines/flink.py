"""A Flink cluster on this machine: a job manager, two task managers, Beam workers and job server.

    python -m tools.engines.flink start FOLDER     then: status FOLDER, stop FOLDER

PyPI's package of Flink's jars has neither scripts nor configuration: the main classes are started
directly. Everything listens on loopback alone, at free ports.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tools.engines import programs, servers
from tools.engines.programs import NotServedError

TASK_MANAGERS = 2
_SOURCE = Path(__file__).resolve().parents[2]
_OPENED = (
    "java.lang", "java.lang.reflect", "java.net", "java.io", "java.nio", "java.text", "java.time",
    "java.util", "java.util.concurrent", "java.util.concurrent.atomic",
    "java.util.concurrent.locks", "sun.nio.ch",
)  # fmt: skip
_LOGGING = """\
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = Out
appender.out.name = Out
appender.out.type = CONSOLE
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %-5p %c{1} - %m%n
"""


def _configuration(rest: int, rpc: int) -> dict[str, Any]:
    """Flink's settings; JSON is YAML too."""
    here = "localhost"
    return {
        "jobmanager.rpc.address": here,
        "jobmanager.rpc.port": rpc,
        "jobmanager.bind-host": here,
        "jobmanager.memory.process.size": "1024m",
        "taskmanager.host": here,
        "taskmanager.bind-host": here,
        "taskmanager.numberOfTaskSlots": 1,
        "taskmanager.memory.process.size": "1536m",
        "parallelism.default": TASK_MANAGERS,
        "rest.address": here,
        "rest.bind-address": here,
        "rest.port": rest,
        # A task manager that is gone is noticed soon; its job then fails and the next run resumes.
        "heartbeat.interval": 1000,
        "heartbeat.timeout": 6000,
    }


class Cluster:
    """A cluster whose configuration, logs and pids are in a folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def ports(self) -> dict[str, int]:
        """Where rest, rpc, pool, and with a job server job and artifacts, listen."""
        ports: dict[str, int] = json.loads((self.folder / "ports.json").read_text())
        return ports

    def start(self, jars: Path, job_server: Path | None) -> None:
        """Starts everything, and waits until it is up.

        Args:
            jars: Flink's folder, of `programs.flink`.
            job_server: Beam's job server; None leaves it out.
        """
        conf = self.folder / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        names = ["rest", "rpc", "pool", *(("job", "artifacts") if job_server else ())]
        ports = {name: servers.free_port() for name in names}
        (self.folder / "ports.json").write_text(json.dumps(ports))
        settings = _configuration(ports["rest"], ports["rpc"])
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in settings.items()]
        (conf / "config.yaml").write_text("".join(lines))
        (conf / "log4j.properties").write_text(_LOGGING)
        self._start_java(
            "jobmanager",
            jars,
            ["-Xmx448m", "-XX:MaxMetaspaceSize=256m"],
            "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
            [],
        )
        for number in range(1, TASK_MANAGERS + 1):
            self.start_task_manager(jars, number)
        servers.start_pool(self.folder, "pool", ports["pool"], _SOURCE)
        servers.wait_until(lambda: servers.listens(ports["pool"]), "the worker pool")
        servers.wait_until(
            lambda: self.overview().get("slots-total") == TASK_MANAGERS, "the task managers"
        )
        if job_server:
            command = ["java", "-jar", str(job_server), "--flink-master"]
            command += [f"localhost:{ports['rest']}", f"--job-port={ports['job']}"]
            command += [f"--artifact-port={ports['artifacts']}", "--expansion-port=0"]
            servers.start(self.folder, "jobserver", command)
            servers.wait_until(lambda: servers.listens(ports["job"]), "the job server")

    def start_task_manager(self, jars: Path, number: int) -> None:
        """Starts a task manager, also again after its end."""
        memory, settings = self._resources(jars)
        self._start_java(
            f"taskmanager{number}",
            jars,
            memory,
            "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
            settings,
        )

    def _start_java(
        self, name: str, jars: Path, memory: list[str], main: str, more: list[str]
    ) -> None:
        conf = self.folder / "conf"
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
        servers.start(
            self.folder,
            name,
            ["java", *memory, *opened, "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
             f"-Dlog4j.configurationFile=file:{conf}/log4j.properties",
             "-cp", _class_path(jars), main, "--configDir", str(conf), *more],
            {
                "FLINK_CONF_DIR": str(conf),
                "FLINK_LIB_DIR": str(jars / "lib"),
                "FLINK_PLUGINS_DIR": str(jars / "plugins"),
            },
        )  # fmt: skip

    def _resources(self, jars: Path) -> tuple[list[str], list[str]]:
        """A task manager's memory as Flink divides it: options of Java, and settings."""
        path = f"{jars / 'bin' / 'bash-java-utils.jar'}:{_class_path(jars)}"
        told = subprocess.run(
            ["java", "-cp", path, "org.apache.flink.runtime.util.bash.BashJavaUtils",
             "GET_TM_RESOURCE_PARAMS", "--configDir", str(self.folder / "conf")],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        found = [
            line.partition("BASH_JAVA_UTILS_EXEC_RESULT:")[2].split()
            for line in told.splitlines()
            if "BASH_JAVA_UTILS_EXEC_RESULT:" in line
        ]
        return found[0], found[1]

    def overview(self) -> dict[str, Any]:
        """What the job manager says of the cluster; empty where it does not answer."""
        return self.rest("overview")

    def rest(self, path: str) -> dict[str, Any]:
        """An answer of Flink's REST; empty where there is none."""
        try:
            address = f"http://localhost:{self.ports['rest']}/{path}"
            with urllib.request.urlopen(address, timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (OSError, ValueError):
            return {}

    def stop(self) -> None:
        """Ends everything."""
        servers.stop(self.folder)


def _class_path(jars: Path) -> str:
    return ":".join(str(jar) for jar in sorted((jars / "lib").glob("*.jar")))


def main(arguments: list[str] | None = None) -> int:
    """Starts or stops a cluster, or tells of it."""
    parser = argparse.ArgumentParser(prog="python -m tools.engines.flink", description=__doc__)
    parser.add_argument("action", choices=("start", "status", "stop"))
    parser.add_argument("folder", type=Path, help="where configuration, logs and pids are")
    parser.add_argument(
        "--without_job_server", action="store_true", help="the cluster and the worker pool alone"
    )
    asked = parser.parse_args(arguments)
    cluster = Cluster(asked.folder)
    if asked.action == "stop":
        cluster.stop()
        return 0
    if asked.action == "start":
        if servers.pids(cluster.folder):
            print(f"{asked.folder}: a cluster runs there already; stop it first", file=sys.stderr)
            return 2
        try:
            cache = programs.cache_folder()
            server = None if asked.without_job_server else programs.job_server(cache)
            cluster.start(programs.flink(cache), server)
        except (NotServedError, TimeoutError) as error:
            cluster.stop()
            print(f"{error}; logs are in {asked.folder}", file=sys.stderr)
            return 2
    for name, pid in servers.pids(cluster.folder).items():
        print(f"{name} {pid}")
    if not (cluster.folder / "ports.json").exists():
        print("no cluster was started there")
        return 1
    overview, ports = cluster.overview(), cluster.ports
    print(f"task managers {overview.get('taskmanagers', 0)}, REST http://localhost:{ports['rest']}")
    if "job" in ports:
        print(
            f"--runner PortableRunner --job_endpoint localhost:{ports['job']} --environment_type "
            f"EXTERNAL --environment_config localhost:{ports['pool']} --parallelism {TASK_MANAGERS}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
