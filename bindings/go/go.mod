module loam

go 1.24
