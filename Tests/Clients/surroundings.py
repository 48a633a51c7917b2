#!/usr/bin/env python3
"""The surroundings rig: a server whose system does not give what it asks for, or sends it signals: descriptors, a reader of its log, a disk."""

import argparse
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time

import rig
from resp import Broken, ErrorReply, eventually
from rig import Tern, expect, expect_equal

REFUSAL = b"-ERR max number of clients reached\r\n"


def limited(options, directory, count):
    """The options for a server that has so few descriptors, and not the right to raise the limit, which root has."""
    path = os.path.join(directory, "limited")
    with open(path, "w") as f:
        f.write(f'#!/bin/sh\nulimit -n {count}\nexec setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource "{os.path.abspath(options.tern)}" "$@"\n')
    os.chmod(path, 0o755)
    return argparse.Namespace(**{**vars(options), "tern": path})


@rig.test(tern_only=True)
def signals_that_mean_nothing(options):
    with Tern(options) as tern, tern.shard() as c:
        for number in (signal.SIGHUP, signal.SIGALRM, signal.SIGPIPE):
            os.kill(tern.pid, number)
            expect_equal(c.ask("PING"), b"PONG", f"after signal {number}")


@rig.test(tern_only=True)
def an_end_with_requests_unread(options):
    """Nobody is reset at SIGTERM: what was answered is read, then comes the end, however much was sent that nobody will answer."""
    tern = Tern(options, 2, "--workers", 2)
    try:
        many = [socket.create_connection(("127.0.0.1", tern.port + number % 3), timeout=10) for number in range(12)]
        silent = [socket.create_connection(("127.0.0.1", tern.port + number % 3), timeout=10) for number in range(3)]
        for one in many + silent:
            one.sendall(b"PING\r\n")
            expect_equal(one.recv(100), b"+PONG\r\n", "before the end")
        # All of it is there when the server finds out that it is to end.
        os.kill(tern.pid, signal.SIGSTOP)
        for one in many:
            one.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n" * 3000)
        os.kill(tern.pid, signal.SIGTERM)
        os.kill(tern.pid, signal.SIGCONT)
        for number, one in enumerate(many + silent):
            try:
                while one.recv(65536):
                    pass
            except ConnectionResetError:
                raise AssertionError(f"connection {number} was reset") from None
            one.close()
        expect_equal(tern.wait(10), 0, "the end")
    finally:
        tern.kill()


def crowd(tern, count):
    """So many connections to shards 1 and 2, and what each was told when it sent PING."""
    many, answers = [], []
    for number in range(count):
        many.append(socket.create_connection(("127.0.0.1", tern.port + 1 + number % 2), timeout=10))
        many[-1].settimeout(10)
    for one in many:
        try:
            one.sendall(b"PING\r\n")
            answers.append(one.recv(100))
        except (ConnectionResetError, BrokenPipeError):
            answers.append(b"")
    return many, answers


@rig.test(tern_only=True)
def no_descriptors(options):
    """Who cannot be served is told, whoever is connected goes on, and there is a line in the log.

    With io_uring the kernel looks at the limit when a listener begins to accept, so there it is set before, and maxclients follows it."""
    with tempfile.TemporaryDirectory() as directory:
        log = os.path.join(directory, "log")
        from_start = options.io == "uring"
        with Tern(limited(options, directory, 64) if from_start else options, 2, "--workers", 2, "--logfile", log) as tern, tern.shard() as control:
            control.ask("PING")
            if not from_start:
                resource.prlimit(tern.pid, resource.RLIMIT_NOFILE, (tern.descriptors + 8,) * 2)
            many, answers = crowd(tern, 60)
            served = answers.count(b"+PONG\r\n")
            expect(1 <= served < 50, f"{served} were served: {answers}")
            expect(answers.count(REFUSAL) >= 1, f"nobody was told why: {answers}")
            expect_equal(served + answers.count(REFUSAL) + answers.count(b""), len(many), "all were answered, or closed")
            expect_equal(control.ask("PING"), b"PONG", "who was there before")
            expect_equal(control.ask("CONFIG", "SET", "loglevel", "verbose"), b"OK", "something to log")
            for one in many:
                one.close()
            eventually(lambda: "settings changed" in open(log).read(), what="the line in the log")

            def served_again():
                with tern.shard(2) as c:
                    try:
                        return c.ask("PING") == b"PONG"
                    except (ErrorReply, Broken, OSError):
                        return False

            eventually(served_again, what="descriptors again")
            if from_start:
                expect("the limit of open files is 64" in open(log).read(), "a line about the limit")
                expect(int(control.ask("CONFIG", "GET", "maxclients")[1]) < 64, "maxclients follows the limit")


@rig.test(tern_only=True)
def fewer_descriptors_than_clients(options):
    """maxclients follows what the system allows, as with redis-server, and CONFIG SET says what would be too many."""
    with Tern(options, 1, "--workers", 1) as tern, tern.shard() as c:
        try:
            c.ask("CONFIG", "SET", "maxclients", 4_000_000_000)
            raise AssertionError("maxclients beyond all descriptors was taken")
        except ErrorReply as error:
            expect("not able to handle the specified number of clients, try with" in str(error), f"said: {error}")
        expect_equal(c.ask("CONFIG", "GET", "maxclients")[1], b"10000", "maxclients as it was")


@rig.test(tern_only=True)
def nobody_reads_the_log(options):
    """Standard output is a pipe that is full: lines are dropped and counted, and no shard waits."""
    port = rig.free_ports(3)
    with tempfile.TemporaryDirectory() as directory:
        read, write = os.pipe()
        command = [options.tern, "serve", "--port", port, "--shards", 2, "--workers", 2, "--dir", directory, "--io", options.io]
        process = subprocess.Popen([str(word) for word in command], stdout=write, stderr=write)
        os.close(write)
        try:
            begin = b""
            while b"serving" not in begin:
                begin += os.read(read, 4096)
            with rig.Connection(port + 1) as c, rig.Connection(port + 2) as d:
                level = ["verbose", "notice"]
                for number in range(1500):
                    c.ask("CONFIG", "SET", "loglevel", level[number % 2])
                c.send(b"".join(b"*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$8\r\nloglevel\r\n$6\r\nnotice\r\n" for _ in range(20_000)))
                for _ in range(20_000):
                    c.reply()
                expect_equal(d.ask("PING"), b"PONG", "the other shard")
                dropped = lambda: int(c.ask("INFO", "server").split(b"tern_log_lines_dropped:")[1].split(b"\r\n")[0])
                eventually(lambda: dropped() > 0, what="lines that are dropped")
                text = b""
                began = time.monotonic()
                while b"lines of the log are missing here" not in text and time.monotonic() - began < 30:
                    text = text[-100:] + os.read(read, 65536)
                    c.ask("CONFIG", "SET", "loglevel", "notice")
                expect(b"lines of the log are missing here" in text, "the log says that lines are missing")
            process.send_signal(signal.SIGTERM)
            expect_equal(process.wait(10), 0, "the end")
        finally:
            process.kill()
            process.wait()
            os.close(read)


def told(c, *words):
    """A reply of names and values as a dictionary."""
    reply = c.ask(*words)
    return dict(zip(reply[::2], reply[1::2]))


@rig.test(tern_only=True)
def topology_that_cannot_be_saved(options):
    """All that speaks of the cluster says so, what has moved is no failure, and it is saved as soon as it can be."""
    tool = lambda tern, *words: subprocess.run([options.tern, "cluster", *words, "--port", str(tern.port)], capture_output=True, text=True, timeout=30)
    with tempfile.TemporaryDirectory() as directory:
        log = os.path.join(directory, "log")
        data = os.path.join(directory, "data")
        # Not even root can create a file where a directory is.
        hindrance = os.path.join(data, "nodes.conf.new")
        with Tern(options, 2, "--workers", 2, "--logfile", log, directory=data) as tern, tern.shard() as c:
            before = open(os.path.join(data, "nodes.conf")).read()
            os.mkdir(hindrance)
            try:
                c.ask("CLUSTER", "SAVECONFIG")
                raise AssertionError("SAVECONFIG was answered OK")
            except ErrorReply as error:
                expect(str(error).startswith("ERR error saving the cluster node config: cannot create"), f"said: {error}")
            me = c.ask("CLUSTER", "MYID")
            slot = 16383
            with tern.shard(2) as other:
                expect_equal(other.ask("CLUSTER", "SETSLOT", slot, "NODE", me), b"OK", "in force")
            expect_equal(c.ask("CLUSTER", "COUNTKEYSINSLOT", slot), 0, "the slot is here")
            end = tool(tern, "resize", "--shards", "4")
            expect_equal(end.returncode, 0, f"resize: {end.stdout}{end.stderr}")
            expect("topology not saved: cannot create" in end.stdout, f"resize said: {end.stdout}")
            with tern.shard(3) as third:
                expect(b"tern_topology_unsaved_since:1" in third.ask("CLUSTER", "INFO"), "CLUSTER INFO")
            status = told(c, "CLUSTER", "REBALANCE", "STATUS")
            expect_equal(status[b"state"], b"success", "the job")
            expect(status[b"topology-unsaved-since"] > 1_700_000_000_000, "the status")
            expect("topology not saved since 2" in tool(tern, "status").stdout, "tern cluster status")
            expect("topology-not-saved" in tool(tern, "events").stdout, "tern cluster events")
            eventually(lambda: "warning" in next((line for line in open(log) if "topology-not-saved" in line), ""), what="the log")
            expect_equal(open(os.path.join(data, "nodes.conf")).read(), before, "nodes.conf")
            os.rmdir(hindrance)
            eventually(lambda: b"unsaved" not in c.ask("CLUSTER", "INFO"), what="saved again")
            expect("topology not saved" not in tool(tern, "status").stdout.replace("note: topology not saved", ""), "tern cluster status afterwards")
            expect_equal(c.ask("CLUSTER", "SAVECONFIG"), b"OK", "SAVECONFIG")
            tern.process.kill()
            tern.process.wait()
            with Tern(options, 2, directory=data, port=tern.port) as again, again.shard(4) as fourth:
                expect(b"cluster_known_nodes:4" in fourth.ask("CLUSTER", "INFO"), "the topology after a restart")
                expect(any(b"topology-saved" in event for event in fourth.ask("CLUSTER", "EVENTS")), "events after a restart")
            tern.stop = lambda: None


rig.main(rig.arguments(__doc__))
