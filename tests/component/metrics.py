#!/usr/bin/env python3
"""Metrics: who may have them, in which format, what they count; and the dashboard made for them."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from mfdtest import env, manager, migrate, process, runner
from mfdtest.qmp import QmpError, wait_until

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
except ImportError:  # Debian's package lies beside an interpreter from elsewhere
    sys.path.append("/usr/lib/python3/dist-packages")
    try:
        from prometheus_client.openmetrics.parser import (
            text_string_to_metric_families as open_metrics)
    except ImportError:
        open_metrics = None

MIB = 1 << 20
SIZE = 64 * MIB
TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
OPEN = "application/openmetrics-text"
#: What Prometheus 2.42 sends.
SCRAPE = ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
          "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
GUEST = ("-object", "memory-backend-memfd,id=ram,size=64M")
WRITES = GUEST + ("-object", "x-guest-workload,id=load,memdev=ram,pattern=random")


class Answer:
    def __init__(self, data):
        head, self.body = data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.fields = dict(line.split(": ", 1) for line in lines[1:])

    @property
    def text(self):
        return self.body.decode()


def read_answer(sock):
    """One answer, as long as it says it is."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(1 << 16) or b"\r\n\r\n"
    length = int(re.search(rb"Content-Length: (\d+)", data)[1])
    while len(data) < data.index(b"\r\n\r\n") + 4 + length:
        more = sock.recv(1 << 16)
        if not more:
            break
        data += more
    return Answer(data)


def get(path="/metrics", accept=None, method="GET"):
    fields = "Host: localhost\r\n" + ("Accept: %s\r\n" % accept if accept else "")
    return ("%s %s HTTP/1.1\r\n%s\r\n" % (method, path, fields)).encode()


def samples(text):
    """{"name{labels}": value} of either format."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


class MetricsTest(runner.TestCase):
    def setUp(self):
        super().setUp()
        env.need(open_metrics, "no python3-prometheus-client")
        env.need(shutil.which("promtool"), "no promtool: package prometheus")
        folder = tempfile.TemporaryDirectory(prefix="mfd-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.socket_path = os.path.join(folder.name, "metrics")

    def start(self, *options):
        """The daemon with metrics on a unix socket, once it is ready to serve."""
        self.program = process.Program([env.daemon(), *options, "-metrics",
                                        "unix:" + self.socket_path])
        self.program.__enter__()
        self.addCleanup(self.program.__exit__, None, None, None)
        return self.program.connect()

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.settimeout(env.DEADLINE_S)
        sock.connect(self.socket_path)
        return sock

    def ask(self, request):
        with self.connect() as sock:
            sock.sendall(request)
            return read_answer(sock)

    def numbers(self):
        return samples(self.ask(get()).text)


class Formats(MetricsTest):
    def test_prometheus_and_openmetrics_readers_take_what_they_asked_for(self):
        qmp = self.start("-name", 'odd "name" \\ é', *GUEST)
        migrate.save(qmp, "file:" + self.path("save"), migrate.Settings(channels=2))
        plain = self.ask(get())
        self.assertEqual(plain.fields["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertNotIn("# EOF", plain.text)
        self.assertIn(r'name="odd \"name\" \\ é"', plain.text)
        checked = subprocess.run(["promtool", "check", "metrics"], input=plain.body,
                                 capture_output=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, b"", b""))

        asked = self.ask(get(accept=SCRAPE))
        self.assertEqual(asked.fields["Content-Type"], OPEN + "; version=1.0.0; charset=utf-8")
        self.assertTrue(asked.text.endswith("\n# EOF\n"))
        families = {family.name: family for family in open_metrics(asked.text)}
        self.assertEqual(families["multifdd_jobs"].type, "counter")
        self.assertEqual(families["multifdd_channel_transfer_seconds"].unit, "seconds")
        self.assertEqual(set(samples(asked.text)), set(samples(plain.text)))
        # What is asked for less than plain text is not what is given.
        self.assertNotIn("# EOF", self.ask(get(accept=OPEN + ";q=0.1,text/plain")).text)
        self.assertIn("# EOF", self.ask(get(accept=OPEN)).text)

    def test_a_connection_stays_for_more_requests_until_it_is_told_otherwise(self):
        self.start(*GUEST)
        with self.connect() as sock:
            for _ in range(2):
                sock.sendall(get())
                self.assertEqual(read_answer(sock).status, 200)
            # Two at once, the first of them in two pieces.
            request = get(method="HEAD")
            sock.sendall(request[:10])
            sock.sendall(request[10:] + b"GET /metrics HTTP/1.0\r\n\r\n")
            head = sock.recv(1 << 16)
            while b"HTTP/1.1 200 OK" not in head[10:]:
                head += sock.recv(1 << 16)
            first, second = head.split(b"HTTP/1.1 200 OK")[1:]
            self.assertTrue(first.endswith(b"\r\n\r\n"))
            rest = b"HTTP/1.1 200 OK" + second
            while more := sock.recv(1 << 16):  # HTTP/1.0: the end of the answer closes it
                rest += more
            self.assertEqual(Answer(rest).fields["Connection"], "close")

    def test_wrong_requests_get_a_reason_and_the_next_client_its_metrics(self):
        self.start(*GUEST)
        for request, status in (
                (get("/"), 404), (get(method="POST"), 405), (b"nonsense\r\n\r\n", 400),
                (b"GET /metrics HTTP/1.1\r\n\r\n", 400), (b"GET /metrics HTTP/2.0\r\n\r\n", 505),
                (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody", 400),
                (b"GET /metrics HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
                (b"GET /metrics HTTP/1.1\nHost: x\n\n", 400),
                (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 9000, 431)):
            with self.subTest(request=request[:60]):
                answer = self.ask(request)
                self.assertEqual(answer.status, status)
                self.assertTrue(answer.text.endswith("\n"))
        self.assertEqual(self.ask(get()).status, 200)

    def test_clients_that_say_nothing_keep_neither_qmp_nor_later_ones_out(self):
        qmp = self.start(*GUEST)
        silent = [self.connect() for _ in range(15)]
        self.assertEqual(self.ask(get()).status, 200)
        # One more than are served at a time waits, until one of them goes.
        silent.append(self.connect())
        late = self.connect()
        late.sendall(get())
        self.assertEqual(qmp.call("query-status")["status"], "running")
        silent[0].close()
        self.assertEqual(read_answer(late).status, 200)


class Numbers(MetricsTest):
    def test_jobs_pages_and_bytes_are_counted_over_all_jobs(self):
        qmp = self.start("-S", *GUEST)
        first = migrate.save(qmp, "file:" + self.path("save"), migrate.Settings(channels=2))
        migrate.allow_next_save(qmp)
        migrate.save(qmp, "file:" + self.path("again"), migrate.Settings(channels=3))
        now = self.numbers()
        self.assertEqual(now['multifdd_jobs_total{kind="save",outcome="completed"}'], 2)
        self.assertEqual(now['multifdd_job_duration_seconds_count{kind="save"}'], 2)
        self.assertEqual(now["multifdd_downtime_seconds_count"], 2)
        self.assertEqual(now["multifdd_guest_ram_bytes"], SIZE)
        self.assertEqual(now['multifdd_job_running{kind="save"}'], 0)
        pages = sum(value for name, value in now.items()
                    if name.startswith('multifdd_channel_pages_total{kind="save"'))
        self.assertEqual(pages, 2 * (first["ram"]["normal"] + first["ram"]["duplicate"]))
        self.assertGreater(now["multifdd_metadata_bytes_total" + '{kind="save"}'], 0)
        self.assertGreater(now["process_resident_memory_bytes"], 0)
        self.assertGreater(now["process_open_fds"], 0)

    def test_transfers_are_counted_by_channel_and_latency(self):
        block = self.ram("m0", 16 * MIB)
        block.fill(0x5c)
        self.program = process.multifdd(
            [block], extra=["-metrics", "unix:" + self.socket_path])
        self.program.__enter__()
        self.addCleanup(self.program.__exit__, None, None, None)
        qmp = self.program.connect()
        migrate.save(qmp, "file:" + self.path("save"), migrate.Settings(channels=2))
        channels = qmp.call("query-migrate", {"x-multifd": True})["x-multifd"]["channels"]
        now = self.numbers()
        for channel in channels:
            labels = 'kind="save",channel="%d"' % channel["id"]
            count = channel["transfers"]
            self.assertEqual(now["multifdd_channel_bytes_total{%s}" % labels], channel["bytes"])
            name = "multifdd_channel_transfer_seconds"
            self.assertEqual(now["%s_count{%s}" % (name, labels)], count)
            self.assertEqual(now['%s_bucket{%s,le="+Inf"}' % (name, labels)], count)
            buckets = [value for key, value in now.items()
                       if key.startswith("%s_bucket{%s," % (name, labels))]
            self.assertEqual(buckets, sorted(buckets))

    def test_a_running_save_shows_its_progress_and_a_cancelled_one_is_counted(self):
        qmp = self.start(*WRITES)
        migrate.Settings(channels=2, parameters={"downtime-limit": 0}).apply(qmp)
        qmp.call("migrate", {"uri": "file:" + self.path("save")})
        wait_until(lambda: self.numbers()["multifdd_job_dirty_bytes_per_second"] > 0,
                   "the dirty rate is known")
        now = self.numbers()
        self.assertEqual(now['multifdd_job_running{kind="save"}'], 1)
        self.assertEqual(now["multifdd_job_total_bytes"], SIZE)
        self.assertGreater(now["multifdd_job_pass"], 1)
        qmp.call("migrate_cancel")
        migrate.wait_final(qmp)
        now = self.numbers()
        self.assertEqual(now['multifdd_jobs_total{kind="save",outcome="cancelled"}'], 1)
        self.assertEqual(now['multifdd_job_running{kind="save"}'], 0)
        self.assertEqual(now["multifdd_job_pass"], 0)

    def test_failures_are_counted_by_their_errno(self):
        qmp = self.start(*GUEST)
        before = self.numbers()
        self.assertEqual(before['multifdd_job_failures_total{kind="save",cause="ENOSPC"}'], 0)
        migrate.Settings(channels=2).apply(qmp)
        with self.assertRaises(QmpError):
            qmp.call("migrate", {"uri": "file:/no/such/folder/save"})
        now = self.numbers()
        self.assertEqual(now['multifdd_job_failures_total{kind="save",cause="ENOENT"}'], 1)
        self.assertEqual(now['multifdd_jobs_total{kind="save",outcome="failed"}'], 1)


class Places(MetricsTest):
    def refused(self, *options):
        done = subprocess.run([env.daemon(), *options], capture_output=True, text=True,
                              timeout=env.DEADLINE_S, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def ask_port(self, port):
        with socket.create_connection(("127.0.0.1", port), env.DEADLINE_S) as sock:
            sock.sendall(get())
            return read_answer(sock)

    def test_without_the_option_nothing_is_served(self):
        with process.Program([env.daemon(), *GUEST]) as program:
            program.connect()
            self.assertNotIn("metrics are served", program.log())
            listening = subprocess.run(["ls", "-l", "/proc/%d/fd" % program.process.pid],
                                       capture_output=True, text=True, check=True).stdout
            self.assertEqual(listening.count("socket:["), 2)  # QMP's listener and its client

    def test_tcp_is_served_on_loopback_alone_and_the_log_says_where(self):
        with process.Program([env.daemon(), *GUEST, "-metrics", "tcp:127.0.0.1:0"]) as program:
            program.connect()
            port = int(re.search(r"metrics are served on tcp:127\.0\.0\.1:(\d+)", program.log())[1])
            self.assertEqual(self.ask_port(port).status, 200)
        for address in ("tcp:0.0.0.0:9100", "tcp:192.0.2.1:9100", "tcp:[::]:9100", "tcp:localhost:1",
                        "tcp:127.0.0.1", "tcp:127.0.0.1:70000", "tcp:::1:9100"):
            self.assertIn("loopback address, as in 127.0.0.1:9100",
                          self.refused("-metrics", address))
        self.assertIn("neither unix:PATH nor tcp:", self.refused("-metrics", "/run/x"))

    def test_a_unix_socket_has_the_mode_that_was_asked_for_and_goes_with_the_daemon(self):
        with process.Program([env.daemon(), *GUEST, "-metrics",
                              "unix:%s,mode=0640" % self.socket_path]) as program:
            program.connect()
            self.assertEqual(os.stat(self.socket_path).st_mode & 0o777, 0o640)
        self.assertFalse(os.path.exists(self.socket_path))

    def test_a_passed_socket_named_metrics_is_served(self):
        for family, address in ((socket.AF_UNIX, self.socket_path),
                                (socket.AF_INET, ("127.0.0.1", 0))):
            with self.subTest(family=family), socket.socket(family) as listener:
                listener.bind(address)
                listener.listen()
                folder = tempfile.TemporaryDirectory(prefix="mfd-", dir="/tmp")
                self.addCleanup(folder.cleanup)
                with manager.Service(folder.name, GUEST,
                                     passed=[("metrics", listener.fileno())]) as service:
                    service.notices.having(READY="1")
                    if family == socket.AF_UNIX:
                        self.assertEqual(self.ask(get()).status, 200)
                    else:
                        self.assertEqual(self.ask_port(listener.getsockname()[1]).status, 200)

    def test_a_passed_socket_that_others_can_reach_is_refused(self):
        with socket.socket() as listener:
            listener.bind(("0.0.0.0", 0))
            listener.listen()
            folder = tempfile.TemporaryDirectory(prefix="mfd-", dir="/tmp")
            self.addCleanup(folder.cleanup)
            with manager.Service(folder.name, GUEST, passed=[("metrics", listener.fileno())]) as service:
                self.assertEqual(service.wait(), 1)
                self.assertIn("neither a unix socket nor on a loopback address", service.log())


class Dashboard(MetricsTest):
    def test_every_expression_names_metrics_that_there_are(self):
        with open(os.path.join(TREE, "systemd", "grafana-multifdd.json"), encoding="utf-8") as file:
            dashboard = json.load(file)
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        expressions += [entry["query"]["query"] for entry in dashboard["templating"]["list"]
                        if entry["type"] == "query"]
        self.assertGreater(len(expressions), 20)
        qmp = self.start(*GUEST)
        migrate.save(qmp, "file:" + self.path("save"), migrate.Settings(channels=2))
        text = self.ask(get()).text
        known = {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line[:1] not in ("#", "")}
        labels = set(re.findall(r'[{,](\w+)="', text)) | {"instance", "job"}
        for expression in expressions:
            with self.subTest(expression=expression):
                used = set(re.findall(r"\b(?:multifdd|process)_\w+", expression))
                self.assertTrue(used)
                self.assertEqual(used - known, set())
                by = {name.strip() for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
                      for name in group.split(",")}
                self.assertEqual(by - labels, set())
        rules = {"groups": [{"name": "dashboard", "rules": [
            {"record": "x:%d" % number, "expr": expression.replace("$__rate_interval", "1m")}
            for number, expression in enumerate(expressions) if "label_values" not in expression]}]}
        with open(self.path("rules.yml"), "w", encoding="utf-8") as file:
            json.dump(rules, file)  # which is YAML
        checked = subprocess.run(["promtool", "check", "rules", self.path("rules.yml")],
                                 capture_output=True, text=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


if __name__ == "__main__":
    runner.main()
