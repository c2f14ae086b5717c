package scaffold

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/msctl/msctl/templates"
)

// Store is where the sample services store their data.
type Store string

// The stores. A workspace without the sample services has none.
const (
	Memory   Store = "memory"
	SQLite   Store = "sqlite"
	Postgres Store = "postgres"
)

// Stores returns all stores, the default first.
func Stores() []Store { return []Store{SQLite, Postgres, Memory} }

// SQL reports whether the sample services store their data in a database.
func (s Store) SQL() bool { return s == SQLite || s == Postgres }

// SQLite reports whether the database is SQLite.
func (s Store) SQLite() bool { return s == SQLite }

// Postgres reports whether the database is PostgreSQL.
func (s Store) Postgres() bool { return s == Postgres }

// checkStore returns an error if the store is unknown. Empty means Memory.
func (w Workspace) checkStore() error {
	if w.Store != "" && !slices.Contains(Stores(), w.Store) {
		return fmt.Errorf("unknown store %q: use sqlite, postgres, or memory", w.Store)
	}
	return nil
}

// store returns the store that the services of the workspace use.
func (w Workspace) store() Store {
	if w.Store == "" || w.service("items") == nil {
		return Memory
	}
	return w.Store
}

// drivers returns the modules of a store, and those that they require. The first is the
// driver.
func (s Store) drivers() ([]module.Version, error) {
	if s == Memory {
		return nil, nil
	}
	text, err := fs.ReadFile(templates.Files(), "sums/"+string(s)+".mod")
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(string(s)+".mod", text, nil)
	if err != nil {
		return nil, err
	}
	var list []module.Version
	for _, r := range file.Require {
		if r.Indirect {
			list = append(list, r.Mod)
		} else {
			list = append([]module.Version{r.Mod}, list...)
		}
	}
	return list, nil
}

// addDrivers adds the modules of the store to those that the workspace requires.
func (v *versions) addDrivers(s Store) error {
	list, err := s.drivers()
	if err != nil {
		return err
	}
	for i, m := range list {
		known := slices.IndexFunc(v.Indirect, func(other module.Version) bool { return other.Path == m.Path })
		switch {
		case known >= 0:
			if newer(m.Version, v.Indirect[known].Version) {
				v.Indirect[known] = m
			}
		case i == 0:
			v.Direct = append(v.Direct, m)
		default:
			v.Indirect = append(v.Indirect, m)
		}
	}
	slices.SortFunc(v.Indirect, func(a, b module.Version) int { return strings.Compare(a.Path, b.Path) })
	v.Store = s
	return nil
}
