<powershell>
# SQL Server on its data volume, set up without anyone at the keyboard. Runs once, at the first start; the image has
# SQL Server and the AWS tools installed.
$ErrorActionPreference = 'Stop'

# The data volume comes up beside the root volume; wait for it, then give it a letter. What is on it already stays.
do { Start-Sleep 5; $disk = Get-Disk | Where-Object { -not $_.IsBoot } | Select-Object -First 1 } until ($disk)
if ($disk.IsOffline) { Set-Disk -Number $disk.Number -IsOffline $false }
if ($disk.PartitionStyle -eq 'RAW') {
    Initialize-Disk -Number $disk.Number -PartitionStyle GPT
    New-Partition -DiskNumber $disk.Number -UseMaximumSize -DriveLetter D |
        Format-Volume -FileSystem NTFS -AllocationUnitSize 65536 -NewFileSystemLabel data -Confirm:$false
}
$instance = 'MSSQLSERVER'
foreach ($folder in 'D:\data', 'D:\log', 'D:\backup') {
    New-Item -ItemType Directory -Force $folder | Out-Null
    icacls $folder /grant "NT SERVICE\${instance}:(OI)(CI)F" | Out-Null
}

# TCP on the usual port, mixed logins, and the new folders as defaults.
$key = (Get-ItemProperty 'HKLM:\SOFTWARE\Microsoft\Microsoft SQL Server\Instance Names\SQL').$instance
$root = "HKLM:\SOFTWARE\Microsoft\Microsoft SQL Server\$key\MSSQLServer"
Set-ItemProperty $root -Name LoginMode -Value 2
Set-ItemProperty $root -Name DefaultData -Value 'D:\data'
Set-ItemProperty $root -Name DefaultLog -Value 'D:\log'
Set-ItemProperty $root -Name BackupDirectory -Value 'D:\backup'
Set-ItemProperty "$root\SuperSocketNetLib\Tcp" -Name Enabled -Value 1
Set-ItemProperty "$root\SuperSocketNetLib\Tcp\IPAll" -Name TcpPort -Value '{{ port }}'
Set-ItemProperty "$root\SuperSocketNetLib\Tcp\IPAll" -Name TcpDynamicPorts -Value ''
New-NetFirewallRule -DisplayName 'SQL Server' -Direction Inbound -Protocol TCP -LocalPort {{ port }} -Action Allow | Out-Null
Restart-Service $instance -Force

# The applications' login. Its password is read here, by the host's role, and is in no image and no user data.
# Permissions of a new role may come a moment after the host.
for ($try = 1; -not $password; $try++) {
    try {
        $password = (Get-SSMParameter -Region '{{ region }}' -Name '{{ password_parameter }}' -WithDecryption $true).Value
    } catch {
        if ($try -ge 60) { throw }
        Start-Sleep 10
    }
}
$quoted = $password.Replace("'", "''")
$login = '{{ login }}'
$sql = @"
IF NOT EXISTS (SELECT 1 FROM sys.server_principals WHERE name = N'$login')
    CREATE LOGIN [$login] WITH PASSWORD = N'$quoted', CHECK_POLICY = ON;
ELSE
    ALTER LOGIN [$login] WITH PASSWORD = N'$quoted';
ALTER SERVER ROLE dbcreator ADD MEMBER [$login];
"@
$sql | Out-File -Encoding utf8 "$env:TEMP\login.sql"
sqlcmd -S localhost -E -b -l 60 -i "$env:TEMP\login.sql"
$failed = $LASTEXITCODE
Remove-Item "$env:TEMP\login.sql"
if ($failed) { throw "sqlcmd ended with ${failed}: the login was not made" }
</powershell>
<persist>false</persist>
