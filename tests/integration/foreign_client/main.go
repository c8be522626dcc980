// A save and a restore driven by a QMP client library that knows nothing of multifdd.
// Usage: foreign_client SOURCE-SOCKET DESTINATION-SOCKET FILE
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
)

const limit = 60 * time.Second

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
	os.Exit(1)
}

type peer struct {
	monitor *qmp.SocketMonitor
	events  <-chan qmp.Event
}

func connect(socket string) peer {
	monitor, err := qmp.NewSocketMonitor("unix", socket, limit)
	if err != nil {
		fail("dial "+socket, err)
	}
	if err := monitor.Connect(); err != nil {
		fail("connect "+socket, err)
	}
	events, err := monitor.Events(context.Background())
	if err != nil {
		fail("events "+socket, err)
	}
	// The library hands out replies only after the events before them were taken.
	queue := make(chan qmp.Event, 1000)
	go func() {
		defer close(queue)
		for event := range events {
			queue <- event
		}
	}()
	return peer{monitor, queue}
}

func command(name string, arguments interface{}) []byte {
	text, err := json.Marshal(map[string]interface{}{"execute": name, "arguments": arguments})
	if err != nil {
		fail("encode "+name, err)
	}
	return text
}

func (p peer) run(name string, arguments interface{}) []byte {
	reply, err := p.monitor.Run(command(name, arguments))
	if err != nil {
		fail(name, err)
	}
	return reply
}

// Passes a descriptor of the file, opened with these flags, into set 1.
func (p peer) addFd(path string, flags int) {
	file, err := os.OpenFile(path, flags, 0600)
	if err != nil {
		fail("open "+path, err)
	}
	defer file.Close()
	if _, err := p.monitor.RunWithFile(command("add-fd", map[string]int{"fdset-id": 1}), file); err != nil {
		fail("add-fd", err)
	}
}

func (p peer) settings() {
	type capability struct {
		Capability string `json:"capability"`
		State      bool   `json:"state"`
	}
	p.run("migrate-set-capabilities", map[string][]capability{
		"capabilities": {{"mapped-ram", true}, {"multifd", true}, {"events", true}}})
	p.run("migrate-set-parameters", map[string]interface{}{
		"multifd-channels": 4, "direct-io": true, "max-bandwidth": 0})
}

// Follows the MIGRATION events to the end.
func (p peer) follow() {
	deadline := time.After(limit)
	for {
		select {
		case event, open := <-p.events:
			if !open {
				fail("events", fmt.Errorf("the connection ended"))
			}
			if event.Event != "MIGRATION" {
				continue
			}
			status := event.Data["status"]
			fmt.Println("MIGRATION", status)
			if status == "completed" {
				return
			}
			if status == "failed" {
				fail("migration", fmt.Errorf("%s", p.run("query-migrate", map[string]string{})))
			}
		case <-deadline:
			fail("migration", fmt.Errorf("no end within %v", limit))
		}
	}
}

func main() {
	source, destination, path := os.Args[1], os.Args[2], os.Args[3]

	from := connect(source)
	from.settings()
	from.addFd(path, os.O_WRONLY|os.O_CREATE)
	from.addFd(path, os.O_WRONLY|syscall.O_DIRECT)
	from.run("migrate", map[string]string{"uri": "file:/dev/fdset/1"})
	from.follow()
	from.run("remove-fd", map[string]int{"fdset-id": 1})

	to := connect(destination)
	to.settings()
	to.addFd(path, os.O_RDONLY)
	to.addFd(path, os.O_RDONLY|syscall.O_DIRECT)
	to.run("migrate-incoming", map[string]interface{}{
		"uri": "file:/dev/fdset/1", "exit-on-error": false})
	to.follow()

	if _, err := from.monitor.Run(command("no-such-command", map[string]string{})); err == nil {
		fail("no-such-command", fmt.Errorf("was accepted"))
	}
	for _, p := range []peer{from, to} {
		if err := p.monitor.Disconnect(); err != nil {
			fail("disconnect", err)
		}
	}
	fmt.Println("saved and restored")
}
