"""What the tests of the page share: folders that look like runs, and a `glowworm page` that shows them."""
import http.client
import json
import os
import re
import signal
import subprocess
import time

PATIENCE_S = 60


def stage(name, kind="train", state="running", **more):
    return {"name": name, "kind": kind, "state": state, **more}


def write_status(folder, campaign="road", state="running", stages=(), **more):
    """As a runner of another machine does: aside and renamed."""
    now = int(time.time() * 1000)
    status = {"format": 1, "campaign": campaign, "run_folder": folder, "host": "elsewhere", "place": "a-boot elsewhere",
              "pid": 7, "started_ms": now - 60000, "written_ms": now, "state": state, "stages": list(stages), **more}
    os.makedirs(os.path.join(folder, "published"), exist_ok=True)
    path = os.path.join(folder, "published", "status.json")
    with open(path + ".new", "w") as file:
        json.dump(status, file)
    os.rename(path + ".new", path)


def step(number, **more):
    return json.dumps({"event": "step", "step": number, "loss": 1.0 / number, "accuracy": 0.5, "rate": 0.1, **more},
                      separators=(",", ":")) + "\n"


def write_metrics(folder, name, text, mode="w"):
    os.makedirs(os.path.join(folder, "metrics"), exist_ok=True)
    with open(os.path.join(folder, "metrics", name + ".jsonl"), mode) as file:
        file.write(text)


class Served:
    """glowworm page FOLDER...: .port, .token and what it answers."""

    def __init__(self, glowworm, *words):
        self.program = subprocess.Popen([glowworm, "page", *words], stdout=subprocess.PIPE, text=True)
        said = self.program.stdout.readline()
        found = re.fullmatch(r"page: http://127\.0\.0\.1:(\d+)/([\w-]+)/\n", said)
        assert found, f"not an address: {said!r}"
        self.port, self.token = int(found[1]), found[2]

    def end(self):
        self.program.send_signal(signal.SIGINT)
        code = self.program.wait(timeout=PATIENCE_S)
        self.program.stdout.close()
        return code

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def answer(self, path, method="GET", token=None, **more):
        """(status, headers, body) of /TOKEN + path."""
        connection = self.connection()
        connection.request(method, f"/{self.token if token is None else token}{path}", **more)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    def json(self, path):
        status, headers, body = self.answer(path)
        assert (status, headers["Content-Type"]) == (200, "application/json"), (path, status, body)
        return json.loads(body)

    def memory_kib(self):
        with open(f"/proc/{self.program.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])
