module example/{{name}}

go 1.24

require wrun v0.0.0

replace wrun => ./wrun
