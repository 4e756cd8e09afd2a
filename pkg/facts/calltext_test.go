package facts

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func TestLine(t *testing.T) {
	const secret = "Hush-Hush-42"
	told := func(line string) string {
		return newPlace(v1alpha1.CallCron, text{path: "/etc/cron.d/x", body: "#\n" + line + "\n"}).line(2)
	}
	for _, line := range []string{
		"docker exec db mysqldump -u root -p" + secret + " shop",
		"docker exec db mysql -p " + secret,
		"docker exec db mongodump -u root -p " + secret,
		"docker exec cache redis-cli -a " + secret + " ping",
		"docker run -d redis --requirepass " + secret,
		"docker exec -e PGPASSWORD=" + secret + " db psql",
		`docker exec db sh -c "PGPASSWORD=` + secret + ` psql"`,
		"docker run --env 'API_TOKEN=" + secret + "' x",
		"docker login -u me -p " + secret + " && docker pull x",
		"curl -u me:" + secret + " --unix-socket /var/run/docker.sock http://d/info",
		"curl -ume:" + secret + " --unix-socket /var/run/docker.sock http://d/info",
		`curl --unix-socket /var/run/docker.sock -H "X-Registry-Auth: ` + secret + `" http://d/images/create`,
		`curl --unix-socket /var/run/docker.sock -H "Authorization: Bearer ` + secret + `" http://d/info`,
		"docker -H tcp://me:" + secret + "@127.0.0.1:2375 ps",
		"sshpass -p " + secret + " ssh host docker ps; docker ps",
	} {
		if have := told(line); strings.Contains(have, secret) || len(have) != len(line) {
			t.Errorf("%s", have)
		}
	}
	for _, line := range []string{
		"docker run -d -p 8080:80 -p 127.0.0.1:53:53/udp -u 1000:1000 --name web nginx:1",
		"docker run -p8080:80 nginx", "docker system prune -af --filter until=72h", "docker exec -it db pg_dump shop", "mkdir -p /srv/x && docker ps",
		"docker compose -p shop-1 -f /srv/shop.yaml up -d",
	} {
		// A project is hidden as a password would be.
		if have := told(line); have != strings.Replace(line, "shop-1", "******", 1) {
			t.Errorf("%s became %s", line, have)
		}
	}
	if have := told("docker run " + strings.Repeat("ä ", 200)); len(have) > maxCallText+len("…") || !strings.HasSuffix(have, "…") {
		t.Errorf("%d bytes: %s", len(have), have)
	}
	if have := newPlace(v1alpha1.CallCron, text{body: "x"}).line(7); have != "" {
		t.Errorf("a line that isn't there: %q", have)
	}
}
