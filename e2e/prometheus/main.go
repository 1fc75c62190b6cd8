// Reads PromQL as Prometheus does: alert rules (.yaml) and dashboards (.json) in, and what each
// expression selects out, one JSON object a line. What Prometheus would refuse ends it with an error.
package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// What one selector of an expression asks for. Labels are those that must have one value.
type selected struct {
	File   string            `json:"file"`
	Of     string            `json:"of"`
	Metric string            `json:"metric"`
	Labels map[string]string `json:"labels"`
}

// Grafana puts these in itself.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*", "$database", ".*")

func main() {
	for _, path := range os.Args[1:] {
		var err error
		if strings.HasSuffix(path, ".json") {
			err = dashboard(path)
		} else {
			err = rules(path)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func rules(path string) error {
	promql := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, promql, slog.Default())
	if len(errs) > 0 {
		return errs[0]
	}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if err := say(promql, path, rule.Alert, rule.Expr); err != nil {
				return err
			}
		}
	}
	return nil
}

func dashboard(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		return err
	}
	promql := parser.NewParser(parser.Options{})
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			if err := say(promql, path, panel.Title, variables.Replace(target.Expr)); err != nil {
				return fmt.Errorf("%s: %w", panel.Title, err)
			}
		}
	}
	return nil
}

func say(promql parser.Parser, path, of, expr string) error {
	parsed, err := promql.ParseExpr(expr)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for _, matchers := range parser.ExtractSelectors(parsed) {
		found := selected{File: path, Of: of, Labels: map[string]string{}}
		for _, matcher := range matchers {
			if matcher.Name == labels.MetricName {
				found.Metric = matcher.Value
			} else if matcher.Type == labels.MatchEqual {
				found.Labels[matcher.Name] = matcher.Value
			}
		}
		if err := out.Encode(found); err != nil {
			return err
		}
	}
	return nil
}
