module github.com/fusewire/fusewire

go 1.26

require golang.org/x/sys v0.39.0
