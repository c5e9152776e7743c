package explain

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// watchInterval is the time between two looks.
const watchInterval = 2 * time.Second

// clearScreen puts the cursor of a terminal to its top and clears what is below.
const clearScreen = "\x1b[H\x1b[2J"

// watch prints what look finds whenever it differs from the last, until ctx ends,
// which is no error. On a terminal it draws over what was there; elsewhere pages of
// text are separated by a line of dashes, and JSON documents just follow each other.
// An error of look is printed as well: an object may be deleted and come back. Only
// the first ends it.
func watch(ctx context.Context, out io.Writer, text bool, look func(context.Context) (page, error)) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	last, screen := "", terminal(out)
	for {
		p, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && last == "":
			return err
		case err != nil && text:
			p.text = plain(err.Error()) + "\n"
		}
		if p.text != "" && p.text != last {
			if err := redraw(out, text, screen, last == "", p.text); err != nil {
				return err
			}
			last = p.text
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// redraw prints a page after, or over, the one before.
func redraw(out io.Writer, text, screen, first bool, page string) error {
	switch {
	case text && screen:
		page = clearScreen + page
	case text && !first:
		page = "---\n" + page
	}
	if _, err := io.WriteString(out, page); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// terminal reports whether people look at out.
func terminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
