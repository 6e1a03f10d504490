package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	maybeWork()
	c := &config{}
	flag.IntVar(&c.n, "n", 100000, "operations")
	flag.Uint64Var(&c.seed, "seed", uint64(time.Now().UnixNano()), "what the program is drawn from")
	flag.IntVar(&c.workers, "workers", 3, "processes")
	flag.Int64Var(&c.most, "size", 256<<10, "the most bytes of a file")
	flag.Int64Var(&c.chunk, "chunk", 64<<10, "the most bytes of an operation")
	flag.BoolVar(&c.apart, "apart", false, "all processes at once, each on a range of its own")
	flag.BoolVar(&c.within, "within", false, "no io_uring read beyond the end")
	flag.StringVar(&c.source, "source", "", "FILE in the directory that is served, to be compared in the end")
	replay := flag.String("replay", "", "a program that failed")
	flag.Parse()
	if flag.NArg() != 1 || c.workers < 1 {
		fmt.Fprintln(os.Stderr, "usage: fsx [flags] FILE")
		flag.PrintDefaults()
		os.Exit(2)
	}
	c.path = flag.Arg(0) + "."
	if c.source != "" {
		c.source += "."
	}
	if *replay != "" {
		var err error
		if c.replay, err = readProgram(*replay); err != nil {
			fmt.Fprintln(os.Stderr, "fsx:", err)
			os.Exit(2)
		}
	}
	fmt.Printf("seed %d\n", c.seed)
	begin := time.Now()
	m, err := c.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fsx:", err)
		os.Exit(1)
	}
	fmt.Printf("no difference in %v: %s\n", time.Since(begin).Round(time.Millisecond), m.counts())
}
