module package

go 1.24

require wrun v0.0.0

replace wrun => ../../../../guest-sdk/go
