module wrun

go 1.24
