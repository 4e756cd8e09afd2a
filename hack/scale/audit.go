package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// request is what the API server's audit log says about one.
type request struct {
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	Object *struct {
		Resource string `json:"resource"`
		Name     string `json:"name"`
	} `json:"objectRef"`
}

// asked are the requests of users.
type asked struct {
	// runs is how often each command was run.
	runs   int
	byUser map[string]*requests
}

// requests are those of one user.
type requests struct {
	all int
	by  map[string]int
	// wrong are those that ask for single objects, or for lists without an end.
	wrong map[string]int
}

func readAudit(path string, runs int) (*asked, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a := &asked{runs: runs, byUser: map[string]*requests{}}
	return a, a.read(f)
}

func (a *asked) read(log io.Reader) error {
	for dec := json.NewDecoder(log); ; {
		var r request
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the audit log: %w", err)
		}
		of := a.byUser[r.User.Username]
		if of == nil {
			of = &requests{by: map[string]int{}, wrong: map[string]int{}}
			a.byUser[r.User.Username] = of
		}
		of.add(&r)
	}
}

// mostPage is the largest page that may be asked for; it is kubectl's.
const mostPage = 500

func (q *requests) add(r *request) {
	q.all++
	u, err := url.Parse(r.RequestURI)
	if err != nil {
		q.wrong[r.RequestURI]++
		return
	}
	if r.Object == nil { // the version, and which kinds are served
		q.by[u.Path]++
		return
	}
	q.by[r.Object.Resource]++
	if limit, err := strconv.Atoi(u.Query().Get("limit")); r.Verb != "list" || r.Object.Name != "" || err != nil || limit < 1 || limit > mostPage {
		q.wrong[r.Verb+" "+u.Path]++
	}
}

// mostKinds is how many lists may end with a page that isn't full.
const mostKinds = 30

// judge holds the requests of a user to pages, and to no more of them than so many objects fill.
func (a *asked) judge(user string, objects int) error {
	q := a.byUser[user]
	if q == nil {
		return fmt.Errorf("the audit log holds no request of %s", user)
	}
	var parts []string
	for _, what := range slices.SortedFunc(maps.Keys(q.by), func(x, y string) int { return q.by[y] - q.by[x] }) {
		if n := q.by[what] / a.runs; len(parts) < 6 {
			parts = append(parts, fmt.Sprintf("%s %d", what, n))
		}
	}
	fmt.Printf("%s: %d requests a run (%s, …)\n", user, q.all/a.runs, strings.Join(parts, ", "))
	var err error
	for _, what := range slices.Sorted(maps.Keys(q.wrong)) {
		err = errors.Join(err, fmt.Errorf("%s asked %d times what isn't a page of a list: %s", user, q.wrong[what], what))
	}
	if most := objects/mostPage + mostKinds; q.all/a.runs > most {
		err = errors.Join(err, fmt.Errorf("%s asked %d times, which %d objects don't take", user, q.all/a.runs, objects))
	}
	return err
}
